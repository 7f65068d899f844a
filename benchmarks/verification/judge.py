"""What bpgen says of a wrong derivation: a proof that it is wrong, or a proof that it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

import numpy as np

from benchmarks.verification.subjects import Subject
from bpgen.errors import BpgenError
from bpgen.ir.derivation import Derivation
from bpgen.verify.balls import Balls
from bpgen.verify.evidence import Outcome
from bpgen.verify.line import Direction, base
from bpgen.verify.numbers import FLOAT64, Array
from bpgen.verify.points import Point
from bpgen.verify.proof import BITS, prove

Places = Sequence[tuple[Point, Direction]]
_EQUAL = 1e-60


class Word(Enum):
    """How a mistake ends."""

    REFUTED = "refuted"
    LATER = "refuted at a further point"
    EQUAL = "equal"
    BROKEN = "does not run"
    ESCAPED = "escaped"


def judged(subject: Subject, wrong: Derivation, places: Places) -> Word:
    """Prove at the first place that `wrong` is wrong, else at another, else that it is equal."""
    try:
        for k, (point, direction) in enumerate(places):
            if prove(subject.problem(wrong), point, [direction]).outcome is Outcome.REFUTES:
                return Word.LATER if k else Word.REFUTED
        is_equal = all(_is_equal(subject, wrong, point) for point, _ in places)
    except (BpgenError, IndexError, ValueError):  # it reads what is not there
        return Word.BROKEN
    return Word.EQUAL if is_equal else Word.ESCAPED


def _is_equal(subject: Subject, wrong: Derivation, point: Point) -> bool:
    """Whether each entry of both gradients is in one ball, of 1e-60 of the size of its tensor."""
    numbers = Balls(BITS)
    right, found = (
        base(subject.problem(d), point, numbers).gradient for d in (subject.derivation, wrong)
    )
    with numbers.working():
        return all(_are_near(found[n], g, numbers) for n, g in right.items())


def _are_near(found: Array, right: Array, numbers: Balls) -> bool:
    size = float(np.abs(numbers.nearest(right)).max()) or 1.0
    return all(numbers.bounds(gap)[1] <= _EQUAL * size for gap in found.ravel() - right.ravel())


def float_gradient(subject: Subject, derivation: Derivation, point: Point) -> Mapping[str, Array]:
    """Return the gradient that `derivation` gives in float64."""
    return base(subject.problem(derivation), point, FLOAT64).gradient

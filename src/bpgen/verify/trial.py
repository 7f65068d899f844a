"""A trial: a gradient at one point, and all evidence for or against it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bpgen.verify.evidence import Outcome, Slope, decide, sizes
from bpgen.verify.line import Base, Direction, base
from bpgen.verify.numbers import FLOAT64, Array
from bpgen.verify.points import Point
from bpgen.verify.switch import Switch


@dataclass(frozen=True, slots=True)
class Trial:
    """All evidence at one point; `proved` if it comes in balls, else it is an estimate.

    `evidence` measures along one more direction, in parameters or in any tensor between them and
    the loss.
    """

    point: Point
    base: Base
    slopes: tuple[Slope, ...]
    switches: tuple[Switch, ...]
    evidence: Callable[[Direction], Slope]
    proved: bool

    @property
    def undecided(self) -> tuple[Switch, ...]:
        """Return the switches whose side is not proved: the point may lie on them."""
        return tuple(s for s in self.switches if s.undecided)

    @property
    def holes(self) -> tuple[str, ...]:
        """Return the cotangents that are no number, as 1/0, though the loss has a derivative.

        None are, while the gradient is finite: what is not finite is read nowhere then. A ball may
        be no number because it is wide; float64 finds a number there.
        """
        numbers, known = self.base.numbers, self.base.known
        slopes = (numbers.bounds(s.value)[1] for s in self.slopes)
        if all(map(_is_finite, map(numbers.nearest, self.base.gradient.values()))):
            return ()
        if not all(map(math.isfinite, slopes)):
            return ()
        native = base(self.base.problem, self.point, FLOAT64)
        if all(map(_is_finite, native.gradient.values())):
            return ()
        names = (e.out.name for e in self.base.problem.derivation.backward)
        found = (n for n in names if not _is_finite(numbers.nearest(known[n])))
        return tuple(n for n in found if not _is_finite(native.known[n]))

    @property
    def outcome(self) -> Outcome:
        """Return what is proved; nothing is, if the point may lie on a switch."""
        if self.undecided:
            return Outcome.UNDECIDED
        if self.holes:
            return Outcome.REFUTES
        return decide(self.base.gradient, self.slopes, self.base.numbers)

    def digits(self) -> dict[str, float]:
        """Return to how many digits each tensor is shown right, by the best direction over it.

        It is 0 where nothing is shown, as of a gradient that is no number.
        """
        gradient, numbers = self.base.gradient, self.base.numbers
        own = sizes(gradient, numbers)
        found: dict[str, float] = {}
        for slope in self.slopes:
            most = slope.difference(gradient, numbers)[1] * slope.size
            for name in slope.direction:
                size = own[name] or slope.size
                digits = -math.log10(most / size) if most else numbers.digits
                found[name] = max(found.get(name, 0.0), digits)
        return found


def _is_finite(values: Array) -> bool:
    return bool(np.isfinite(values).all())

"""The same equations where all extents are equal: there a transposition fits, and must be right.

With extents that all differ a tensor read the wrong way has the wrong shape, and nothing runs. Some
mistakes run only on squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bpgen.errors import UndecidedError
from bpgen.ir.index import Extent
from bpgen.verify.complex_step import SIGNIFICANT, disagreement
from bpgen.verify.line import base, gaussian
from bpgen.verify.numbers import COMPLEX
from bpgen.verify.points import generic
from bpgen.verify.problem import Problem, problem
from bpgen.verify.relations import LEAST, Relations, relations
from bpgen.verify.resized import resized


def equal(subject: Problem, rng: np.random.Generator) -> Problem | None:
    """Return `subject` with one size for every extent that only names an axis, and for the batch.

    None if there are not two such extents, or the equations do not bear it.
    """
    found = relations(subject.derivation.network)
    for kept in ({}, found.kept):
        free = _free(subject, Relations({**found.equal}, {**found.fixed}, {**kept}))
        sizes = _sizes(subject, free)
        changed = {e for e in free if e.value not in {None, LEAST}}
        if len(free) > 1 and found.hold(sizes, changed):
            made = problem(*resized((subject.network, subject.derivation), sizes))
            square = replace(made, extents={e: e.value or LEAST for e in made.extents})
            return square if _is_sound(square, rng) else None
    return None


def _sizes(subject: Problem, free: Sequence[Extent]) -> dict[Extent, int]:
    declared = {e: e.value for e in subject.derivation.network.extents() if e.value is not None}
    return {**declared, **dict.fromkeys((e for e in free if e.value is not None), LEAST)}


def _free(subject: Problem, found: Relations) -> list[Extent]:
    """Return the extents that stand in nothing but `A = B`, nor are tied to one that does."""
    found.fix_all_but_plain()
    tied = {e for formula in found.equal for e in formula.atoms(Extent)}
    small = {e for e in tied if e.value is not None and e.value < LEAST}
    stays = {*found.fixed, *small}
    for _ in found.equal:
        pairs = (formula.atoms(Extent) for formula in found.equal)
        stays |= {e for pair in pairs if stays & pair for e in pair}
    extents = {*subject.derivation.network.extents(), *tied}
    wide = (e for e in extents if e.value is None or e.value >= LEAST)
    return sorted((e for e in wide if e not in stays), key=str)


def _is_sound(square: Problem, rng: np.random.Generator) -> bool:
    """Whether the equations can be evaluated, and a gradient is that of the loss."""
    try:
        at = base(square, generic(square, rng), COMPLEX)
    except (UndecidedError, IndexError, ValueError):
        return False
    return disagreement(at, gaussian(square, square.parameters, rng)) < SIGNIFICANT

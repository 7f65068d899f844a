"""The same equations where all extents are equal: there a transposition fits, and must be right.

With extents that all differ a tensor read the wrong way has the wrong shape, and nothing runs. Some
mistakes run only on squares.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bpgen.errors import UndecidedError
from bpgen.ir.index import Extent
from bpgen.verify.complex_step import SIGNIFICANT, disagreement
from bpgen.verify.line import base, gaussian
from bpgen.verify.numbers import COMPLEX
from bpgen.verify.points import generic
from bpgen.verify.problem import Problem, problem
from bpgen.verify.relations import LEAST, relations
from bpgen.verify.resized import resized


def equal(subject: Problem, rng: np.random.Generator) -> Problem | None:
    """Return `subject` with one size for every extent that only names an axis, and for the batch.

    None if there are not two such extents, or the equations do not bear it.
    """
    both = subject.derivation.network
    free = _free(subject)
    if len(free) < 2:
        return None
    sizes = dict.fromkeys((e for e in free if e.value is not None), LEAST)
    declared = {e: e.value for e in both.extents() if e.value is not None and e not in sizes}
    made = problem(*resized((subject.network, subject.derivation), {**declared, **sizes}))
    square = replace(made, extents={e: e.value or LEAST for e in made.extents})
    return square if _is_sound(square, rng) else None


def _free(subject: Problem) -> list[Extent]:
    """Return the extents that stand in nothing but `A = B`, nor are tied to one that does."""
    both = subject.derivation.network
    found = relations(both)
    found.fix_all_but_plain()
    extents = [e for e in both.extents() if e.value is None or e.value >= LEAST]
    tied = {e for formula in found.equal for e in formula.atoms(Extent)}
    stays = set(found.fixed) | {e for e in tied if e.value is not None and e.value < LEAST}
    while True:
        more = {
            e
            for formula in found.equal
            if stays & formula.atoms(Extent)
            for e in formula.atoms(Extent)
        }
        if more <= stays:
            return [
                e
                for e in {**dict.fromkeys(extents), **dict.fromkeys(sorted(tied, key=str))}
                if e not in stays
            ]
        stays |= more


def _is_sound(square: Problem, rng: np.random.Generator) -> bool:
    """Whether the equations can be evaluated, and a gradient is that of the loss."""
    try:
        at = base(square, generic(square, rng), COMPLEX)
    except (UndecidedError, IndexError, ValueError):
        return False
    return disagreement(at, gaussian(square, square.parameters, rng)) < SIGNIFICANT

"""Which extents a proof takes: the declared ones, or small ones where those are too large.

The equations hold extents as symbols, and so do most rules of their derivation: what is proved at
small extents is the same derivation. A rule that looks at sizes (a window, a reshape) leaves
numbers in the equations, and these are relations that the small extents keep. Should a relation be
missed, the equations no longer belong together; the complex step tells, and all extents that stand
in more than plain indices keep their declared sizes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bpgen.errors import UndecidedError
from bpgen.ir.derivation import Derivation
from bpgen.ir.index import Extent
from bpgen.ir.network import Network
from bpgen.verify.complex_step import SIGNIFICANT, disagreement
from bpgen.verify.line import base, gaussian
from bpgen.verify.numbers import COMPLEX
from bpgen.verify.points import generic
from bpgen.verify.problem import Problem, problem
from bpgen.verify.relations import Relations, relations
from bpgen.verify.resized import resized
from bpgen.verify.shrink import shrunk


def reduced(subject: Problem, rng: np.random.Generator) -> Problem:
    """Return `subject` at the smallest extents that its equations allow."""
    candidates = reductions(subject.network, subject.derivation)
    for network, derivation in candidates:
        small = problem(network, derivation)
        if _belongs_together(small, rng):
            break
    return small


def reductions(network: Network, derivation: Derivation) -> Iterator[tuple[Network, Derivation]]:
    """Yield both at reduced extents: all that relations leave free, then the plain ones alone."""
    both = derivation.network
    grids = [[i.extent for i in (*e.out.indices, *t.over)] for e in both.equations for t in e.terms]
    found = relations(both)
    for plain_alone in (False, True):
        if plain_alone:
            found.fix_all_but_plain()
        yield resized((network, derivation), shrunk(_sizes(both, found), found, grids))


def _belongs_together(small: Problem, rng: np.random.Generator) -> bool:
    """Whether the gradient is that of the loss, as far as float64 tells."""
    try:
        at = base(small, generic(small, rng), COMPLEX)
    except UndecidedError:
        return False
    return disagreement(at, gaussian(small, small.parameters, rng)) < SIGNIFICANT


def _sizes(network: Network, found: Relations) -> tuple[Extent, ...]:
    """Return all extents, and the bounds of integers, of which those tied to nothing stay."""
    tied = {e for formula in found.equal for e in formula.atoms(Extent)}
    read = {e for own in found.kept for e in own}
    bounds = sorted((tied | read) - {*network.extents()}, key=lambda e: e.name)
    found.fix(*(e for e in bounds if e not in tied))
    return (*network.extents(), *bounds)

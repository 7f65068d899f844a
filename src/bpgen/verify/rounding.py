"""How far an honest program may be from the truth: measured, not guessed.

The interpreter itself computes every tensor in the dtype of the program. An emitted program, which
sums in another order, may err a small multiple of that, and by a random walk of its roundings, in
case the reading was lucky.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from bpgen.verify.line import Base, base
from bpgen.verify.numbers import Array, Native
from bpgen.verify.points import Point

# The order of a sum changes its rounding error by about this much (pairwise, blocked, in sequence).
_OTHER_ORDER = 16
# Four standard deviations of a random walk whose steps are half a unit in the last place.
_WALK = 2


def limits(at: Base, point: Point, true: Mapping[str, Array], numbers: Native) -> dict[str, float]:
    """Return, for the tensors `true` of the derivation, how far rounding moves an entry at most.

    The largest entries of cotangents are the scale of one that vanishes; those of values, of one
    of these.
    """
    known = base(at.problem, point, numbers).known
    walk = _WALK * 10.0**-numbers.digits * math.sqrt(_roundings(at))
    backward = {e.out.name for e in at.problem.derivation.backward}
    sizes = {n: float(np.abs(t[np.isfinite(t)]).max(initial=0)) for n, t in true.items()}
    largest = {
        side: max((s for n, s in sizes.items() if (n in backward) is side), default=0.0)
        for side in (True, False)
    }
    found = {}
    for name, truth in true.items():
        scale = largest[name in backward]
        size = sizes[name] if sizes[name] > scale * 10.0**-numbers.digits else scale
        read = distance(known[name].astype(np.float64), truth)
        found[name] = _OTHER_ORDER * read + walk * size
    return found


def distance(found: Array, true: Array) -> float:
    """Return the largest |found - true|; infinite entries must agree, or it is infinite."""
    with np.errstate(invalid="ignore"):
        gap = np.where(found == true, 0, np.abs(found - true))
    return float(np.where(np.isnan(gap), np.inf, gap).max(initial=0))


def _roundings(at: Base) -> int:
    """Return how many roundings a number can pass: the longest sum of every equation."""
    equations = at.problem.derivation.network.equations
    sums = (
        max(math.prod(at.problem.extents[i.extent] for i in t.over) for t in e.terms)
        for e in equations
    )
    return sum(1 + length for length in sums)

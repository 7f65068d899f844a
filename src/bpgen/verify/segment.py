"""A segment of parameters, and what its switches do on it: none, proved in balls, or where.

On a segment free of switches the loss is as smooth as its formulas. Across one it still has a
derivative almost everywhere, and an integral of it is right if it is split there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import sympy

from bpgen.verify.line import Base, Direction, sample
from bpgen.verify.numbers import UNDECIDED
from bpgen.verify.problem import BUDGET
from bpgen.verify.switch import Switch, crossed

# Lengths to try, as powers of 2, until the switches on a segment are few enough to be found.
_EXPONENTS = (2, 4, 6, 8, 10, 12)
_FEW = 4
# Beyond this many entries of formulas to a reading, one switch is found, not four.
_COSTLY = 50_000
_SAMPLES = 9
# A switch is found to the last bits of float64.
_HALVINGS = 48
# Twice the bits of float64: the width of a ball is that of the segment, not of rounding.
_BITS = 106


@dataclass(frozen=True, slots=True)
class Segment:
    """θ + t v for |t| <= 2^-exponent, split at `kinks`; `proved` if balls hold it free of them."""

    exponent: int
    kinks: tuple[float, ...]
    proved: bool

    @property
    def reach(self) -> float:
        """Return the largest t."""
        return 2.0**-self.exponent

    @property
    def pieces(self) -> tuple[tuple[float, float], ...]:
        """Return the parts of the segment between its ends and its kinks."""
        ends = (-self.reach, *self.kinks, self.reach)
        return tuple(pairwise(ends))


def segment(at: Base, direction: Direction) -> Segment:
    """Return the longest segment through the point of `at`, in float64, that has few kinks.

    Where the network is too large for balls, none are proved, and more than few are not looked for.
    """
    is_large = at.problem.cost > BUDGET
    few = _FEW if at.problem.cost < _COSTLY else 1
    for exponent in _EXPONENTS:
        reach = sympy.Rational(1, 2**exponent)
        nodes = [reach * sympy.Rational(k, _SAMPLES // 2) for k in range(-4, 5)]
        seen = [_switches(at, direction, t) for t in nodes]
        changes = [k for k in range(len(nodes) - 1) if crossed(seen[k], seen[k + 1])]
        if len(changes) <= few:
            break
    kinks = tuple(
        kink
        for k in ([] if is_large and len(changes) > few else changes)
        for kink in _between(at, direction, (nodes[k], nodes[k + 1]), (seen[k], seen[k + 1]))
    )
    free = not changes and not is_large and is_free(at, direction, 2.0**-exponent)
    return Segment(exponent, kinks, free)


def is_free(at: Base, direction: Direction, reach: float) -> bool:
    """Whether balls prove that no switch is met for |t| <= `reach`."""
    if find_spec("flint") is None:
        return False
    from flint import arb

    from bpgen.verify.balls import Balls
    from bpgen.verify.line import base
    from bpgen.verify.numbers import objects
    from bpgen.verify.points import Point

    numbers = Balls(_BITS)
    values = {n: np.asarray(v.real) if v.dtype.kind == "c" else v for n, v in at.given.items()}
    start = base(at.problem, Point("", values), numbers)
    with numbers.working():
        wide = {n: objects(lambda x: arb(0, abs(x) * reach), v) for n, v in direction.items()}
        moved = {
            n: np.asarray(start.known[n] + wide[n], object).reshape(v.shape)
            for n, v in direction.items()
        }
    seen: list[Switch] = []
    at.problem.loss({**start.frozen, **moved}, numbers, seen.append)
    return not any((s.signs == UNDECIDED).any() for s in seen)


def _switches(at: Base, direction: Direction, t: sympy.Expr) -> Sequence[Switch]:
    return sample(at, direction, t).switches


def _between(
    at: Base,
    direction: Direction,
    ends: tuple[sympy.Expr, sympy.Expr],
    seen: tuple[Sequence[Switch], Sequence[Switch]],
) -> list[float]:
    """Return where the switches change between two values of t: every place, by halves."""
    found: list[float] = []
    stack = [(ends, seen, 0)]
    while stack:
        (a, b), (left, right), depth = stack.pop()
        if not crossed(left, right):
            continue
        middle = (a + b) / 2
        if depth == _HALVINGS:
            found.append(float(middle))
            continue
        here = _switches(at, direction, middle)
        stack += [((middle, b), (here, right), depth + 1), ((a, middle), (left, here), depth + 1)]
    return sorted(found)

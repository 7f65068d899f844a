"""Small extents for large networks: every extent that is free to shrink becomes a small prime.

In: relations between extents. Out: sizes that keep all of them. Each equality defines one extent by
others where it can be solved for one; what is left is chosen, and extents in doubt stay.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import cast

import sympy
from sympy import Expr

from bpgen.ir.index import Extent
from bpgen.verify.relations import LEAST, Relations, Sizes, at_declared, number


def shrunk(
    extents: Sequence[Extent], found: Relations, grids: Sequence[Sequence[Extent]]
) -> dict[Extent, int]:
    """Return sizes of `extents` that keep the relations, each of its own where it is free.

    `grids` are what the equations run over: the extents that cost most receive the smallest primes,
    after the batch and what else is free until run time. Where no prime fits, another number may.
    """
    known = [e for e in extents if e.value is not None]
    solved = _Solved({e: sympy.Integer(e.value) for e in known if e in found.fixed or e.value == 1})
    for formula in found.equal:
        solved.take(formula)
    sizes = {e: cast("int", e.value) for e in known}
    taken = {number(f, {}) for e, f in solved.definitions.items() if not f.free_symbols}
    spared = set(islice(_primes(taken, sys.maxsize), len(extents) - len(known)))
    taken |= spared
    free = [e for e in known if e not in solved.definitions]
    weights = {e: solved.weight(e, grids) for e in free}
    for extent in sorted(free, key=lambda e: (-weights[e], e.name)):
        for size in _candidates(sizes[extent], taken):
            smaller = solved.completed({**sizes, extent: size})
            changed = {e for e, size in smaller.items() if size != sizes[e]}
            if spared.isdisjoint(smaller[e] for e in changed) and found.hold(smaller, changed):
                sizes = smaller
                break
        taken.add(sizes[extent])
    return sizes


def _candidates(size: int, taken: Collection[int]) -> Iterator[int]:
    """Yield numbers below `size` that are not `taken`: primes first, each kind from the least."""
    yield from _primes(taken, size)
    yield from (k for k in range(LEAST, size) if k not in taken and not sympy.isprime(k))


def _primes(taken: Collection[int], below: int) -> Iterator[int]:
    return (int(p) for p in sympy.primerange(LEAST, below) if p not in taken)


@dataclass(frozen=True, slots=True)
class _Solved:
    """Extents that others define; a definition holds none that is defined itself."""

    definitions: dict[Extent, Expr]

    def take(self, formula: Expr) -> None:
        """Solve `formula = 0` for one extent; if it cannot be, all its extents stay as they are."""
        rest = sympy.expand(formula.xreplace(self.definitions))
        if not rest.free_symbols:
            return
        rest = _vanishing(rest)
        best = max(_solutions(rest), key=lambda s: s[0], default=None)
        if best is None:
            self._define({e: sympy.Integer(e.value) for e in rest.free_symbols})
        else:
            self._define({best[1]: best[2]})

    def _define(self, new: Mapping[Extent, Expr]) -> None:
        old = {e: sympy.expand(f.xreplace(dict(new))) for e, f in self.definitions.items()}
        self.definitions.update({**old, **new})

    def weight(self, extent: Extent, grids: Sequence[Sequence[Extent]]) -> int:
        """Return the cost of all that runs over `extent`, once for each axis that it decides."""
        own = {extent, *(e for e, f in self.definitions.items() if f.has(extent))}
        return sum(
            sum(axis in own for axis in grid) * math.prod(axis.value or 1 for axis in grid)
            for grid in grids
        )

    def completed(self, sizes: Sizes) -> dict[Extent, int]:
        """Return `sizes` with what they define."""
        return {**sizes, **{e: number(f, sizes) for e, f in self.definitions.items()}}


def _vanishing(formula: Expr) -> Expr:
    """Return a factor that is 0 at the declared extents: of `B R - 2 B` it is `R - 2`."""
    factors = (factor for factor, _ in sympy.factor_list(formula)[1])
    return next(f for f in factors if at_declared(f) == 0)


def _solutions(rest: Expr) -> Iterator[tuple[tuple[bool, int, str], Extent, Expr]]:
    """Yield the extents that `rest = 0` gives as a sum, those that grow with all others last."""
    for extent in rest.free_symbols:
        factor = rest.coeff(extent, 1)
        if abs(factor) == 1 and not (rest - factor * extent).has(extent):
            solution = sympy.expand(-(rest - factor * extent) / factor)
            grows = all(t.as_coeff_Mul()[0] > 0 for t in solution.args if t.free_symbols)
            yield (grows, extent.value, extent.name), extent, solution

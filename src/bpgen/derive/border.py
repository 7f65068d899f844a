"""Borders: what a product reads beyond the range of an index is 0, by tensors that have a border.

Σ_u ∂L/∂y[a - u] W[u]   becomes   padded[a] = ∂L/∂y[a - 2] (0 outside),  Σ_u padded[a - u + 2] W[u]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy
from sympy import Expr

from bpgen.derive.named import Helpers
from bpgen.ir.affine import affine, reaches
from bpgen.ir.equation import Term
from bpgen.ir.expr import Access, Delta, Pad, accesses, indices_of
from bpgen.ir.index import Index
from bpgen.ir.tensor import Role, Tensor


class Border:
    """What the indices of a product have become, and which of them may leave their range."""

    def __init__(
        self, mapping: Mapping[Expr, Expr], solved: Iterable[Index], of: Tensor, helpers: Helpers
    ) -> None:
        """Take what each index has become; `solved` are those to look at.

        The product is a part of the cotangent of `of`.
        """
        self._of = of
        self._mapping = substituted(mapping)
        self._helpers = helpers
        self._free = [i for i in solved if not reaches(self._mapping[i], i.extent)]

    def product(self, factors: list[Expr]) -> Expr:
        """Return the product with every index replaced; it is 0 where one leaves its range."""
        for index in self._free:
            if not any(index in indices_of(f) for f in factors):
                one = self._helpers.define("one", (index,), Term(sympy.S.One))
                factors = [*factors, one.out.canonical]
        factors = self._gathered(factors)
        moving = [f for f in factors if indices_of(f)]
        entry = moving[0] if len(moving) == 1 else None
        if isinstance(entry, Access) and self._ends(entry) and self._is_shifted(entry):
            shifted = Access(entry.head, *(at.xreplace(self._mapping) for at in entry.indices))
            return sympy.Mul(*(f for f in factors if f is not entry), Pad(shifted))
        return sympy.Mul(*map(self._enclosed, factors))

    def _gathered(self, factors: list[Expr]) -> list[Expr]:
        """Name the product of what needs a border, if it has no more indices than its factors."""
        free = [f for f in factors if indices_of(f).intersection(self._free)]
        found = set[Index]().union(*map(indices_of, free))
        if len(free) < 2 or all(indices_of(f) != found for f in free):
            return factors
        named = self._named(sympy.Mul(*free), f"slope_of_d_{self._of.name}")
        return [*(f for f in factors if f not in free), named]

    def _named(self, factor: Expr, stem: str) -> Access:
        widest = max(accesses(factor), key=lambda a: len(a.indices), default=None)
        first = [i for i in widest.indices if isinstance(i, Index)] if widest else []
        rest = sorted(indices_of(factor).difference(first), key=lambda i: str(i.name))
        return self._helpers.define(stem, (*first, *rest), Term(factor)).out.canonical

    def _enclosed(self, factor: Expr) -> Expr:
        if not indices_of(factor).intersection(self._free):
            return factor.xreplace(self._mapping)
        match factor:
            case Access() if self._ends(factor) and all(
                isinstance(at, Index | sympy.Integer) for at in factor.indices
            ):
                return self._padded(factor)
            case Delta():
                index, at = factor.args
                inside = (
                    self._enclosed(at) if isinstance(at, Access) else at.xreplace(self._mapping)
                )
                return Delta(index.xreplace(self._mapping), inside)
            case _:
                return self._padded(self._named(factor, f"slope_of_d_{self._of.name}"))

    def _ends(self, entry: Access) -> bool:
        """Whether what `entry` reads ends where its indices do: beyond them, the product is 0.

        An index that stands with a number, `k + 1`, leaves its range before the axis ends.
        """
        free = set(self._free)
        alone = all(isinstance(at, Index) or not indices_of(at) & free for at in entry.indices)
        return alone and self._helpers.is_whole(entry)

    def _padded(self, entry: Access) -> Expr:
        """Give the tensor a border as wide as the product needs it, and read inside it."""
        axes: list[Index] = []
        shifted: list[Expr] = []
        at: list[Expr] = []
        places = [own.xreplace(self._mapping) for own in entry.indices]
        taken = set[Index]().union(indices_of(entry), *map(indices_of, places))
        for own, place in zip(entry.indices, places, strict=True):
            if own not in self._free:
                axis = place if isinstance(place, Index) else own
                if isinstance(axis, Index):
                    axes.append(axis)
                    at.append(place)
                shifted.append(axis)
                continue
            reach = affine(place)
            assert reach is not None, f"{place} is not affine"
            wide = self._helpers.index(reach.most - reach.least + 1, axes, taken)
            axes.append(wide)
            shifted.append(wide + reach.least)
            at.append(place - reach.least)
        is_address = self._helpers.role(entry.name) is Role.ADDRESS
        border = Pad(Access(entry.head, *shifted), -1 if is_address else 0)
        padded = self._helpers.define(f"padded_{entry.name}", tuple(axes), Term(border))
        return Access(padded.out.canonical.head, *at)

    def _is_shifted(self, entry: Access) -> bool:
        """Whether `entry` becomes an entry whose indices stand alone, shifted: a slice."""
        places = [affine(at.xreplace(self._mapping)) for at in entry.indices]
        if not self._free or any(p is None for p in places):
            return False
        found = [i for p in places if p is not None for i in p.coefficients]
        plain = all(p is not None and list(p.coefficients.values()) == [1] for p in places)
        return plain and len(set(found)) == len(found)


def substituted(mapping: Mapping[Expr, Expr]) -> dict[Expr, Expr]:
    """Return `mapping` with its own right sides replaced, until none holds what it replaces."""
    closed = dict(mapping)
    while any(value.has(*closed) for value in closed.values()):
        closed = {index: value.xreplace(closed) for index, value in closed.items()}
    return closed

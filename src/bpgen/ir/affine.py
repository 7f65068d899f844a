"""Index expressions with whole coefficients, `2*h + u - 1`: their parts, and how far they reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import sympy
from sympy import Expr

from bpgen.ir.index import Extent, Index


@dataclass(frozen=True, slots=True)
class Affine:
    """`Σ coefficient · index + offset`; an extent in it counts as the number it is."""

    coefficients: Mapping[Index, int]
    offset: int

    @property
    def least(self) -> int:
        """Return the smallest value it takes."""
        return self.offset + sum(min(0, c * _last(i)) for i, c in self.coefficients.items())

    @property
    def most(self) -> int:
        """Return the largest value it takes."""
        return self.offset + sum(max(0, c * _last(i)) for i, c in self.coefficients.items())

    def is_complete(self, extent: Extent) -> bool:
        """Whether it takes each of 0 … extent-1 exactly once: a mixed radix."""
        want = 1
        for index, step in sorted(self.coefficients.items(), key=lambda part: part[1]):
            if step != want:
                return False
            want *= _last(index) + 1
        return self.offset == 0 and want == extent.value


@lru_cache(maxsize=1 << 14)
def affine(expr: Expr) -> Affine | None:
    """Return the parts of `expr`; None if it is no such sum, or moves by an unknown extent."""
    offset, coefficients = 0, dict[Index, int]()
    for term in sympy.Add.make_args(sympy.expand(expr)):
        found = [s for s in sympy.Mul.make_args(term) if isinstance(s, Index)]
        number = _number(term / found[0] if found else term)
        if len(found) > 1 or number is None:
            return None
        if found:
            coefficients[found[0]] = coefficients.get(found[0], 0) + number
        else:
            offset += number
    free = any(i.extent.value is None for i in coefficients)
    if free and (len(coefficients) > 1 or offset or set(coefficients.values()) != {1}):
        return None
    return Affine(coefficients, offset)


def reaches(expr: Expr, extent: Extent) -> bool:
    """Whether the affine `expr` stays inside 0 … extent-1."""
    found = affine(expr)
    if found is None:
        return False
    if extent.value is None or any(i.extent.value is None for i in found.coefficients):
        return isinstance(expr, Index) and expr.extent == extent
    return found.least >= 0 and found.most < extent.value


def _last(index: Index) -> int:
    return (index.extent.value or 1) - 1


def _number(expr: Expr) -> int | None:
    values = {e: e.value for e in expr.free_symbols if isinstance(e, Extent)}
    if None in values.values():
        return None
    number = sympy.sympify(expr.xreplace(values))
    return int(number) if number.is_Integer else None

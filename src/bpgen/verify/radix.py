"""Mixed radix: an axis that is taken apart, or joined from parts, holds each entry once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy
from sympy import Basic, Expr

from bpgen.ir.expr import Digit
from bpgen.ir.index import Extent, Index

# Stride and radix of each digit.
Digits = tuple[tuple[Expr, Expr], ...]


def digits_of(ats: Iterable[Basic]) -> tuple[tuple[Index, Digits], ...]:
    """Return each index that is read by digits, with these, in the order of the axes."""
    found: dict[Index, list[tuple[Expr, Expr]]] = {}
    for at in ats:
        if isinstance(at, Digit):
            found.setdefault(at.index, []).append((at.stride, at.extent))
    return tuple((index, tuple(parts)) for index, parts in found.items())


def joined(at: Basic) -> Digits | None:
    """Return the digits of an address `Σ stride · index`; None if it is of another form."""
    parts = [_strided(part) for part in sympy.Add.make_args(at)]
    digits = tuple(p for p in parts if p is not None)
    return digits if 1 < len(digits) == len(parts) else None


def _strided(part: Basic) -> tuple[Expr, Expr] | None:
    factors = sympy.Mul.make_args(part)
    indices = [f for f in factors if isinstance(f, Index)]
    if len(indices) != 1:
        return None
    return sympy.Mul(*(f for f in factors if f != indices[0])), indices[0].extent


def is_complete(digits: Digits, extent: Extent, sizes: Mapping[Extent, int]) -> bool:
    """Whether strides and radices are 1, r1, r1 r2, …, `extent`, at `sizes` or as declared."""
    want = 1
    numbers = [(_number(s, sizes), _number(r, sizes)) for s, r in digits]
    for stride, radix in sorted(numbers):
        if stride != want or radix <= 0:
            return False
        want *= radix
    return want == _number(extent, sizes)


def _number(formula: Expr, sizes: Mapping[Extent, int]) -> int:
    """Return the value of a formula of extents; 0 if one of them is free."""
    known = {e: sizes.get(e, e.value) for e in formula.atoms(Extent)}
    return 0 if None in known.values() else int(formula.xreplace(known))

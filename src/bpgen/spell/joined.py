"""A tensor that joins axes, written where it is written: `flat[n, H W c + W h + w] = x[n,c,h,w]`.

The equation holds the digits of the joined index, `x[n, d // (H W) % C, …]`. If they are all there,
the left side says the same without a division.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from sympy import Expr

from bpgen.ir.equation import Equation, Term
from bpgen.ir.expr import Digit, indices_of
from bpgen.ir.index import Index


def as_joined(equation: Equation) -> tuple[tuple[tuple[Expr, ...], ...], tuple[Term, ...]]:
    """Return each axis of the left side as the terms of a sum, and the right side to go with it."""
    axes: list[tuple[Expr, ...]] = []
    names: dict[Expr, Expr] = {}
    taken = {i.name for t in equation.terms for i in (*indices_of(t.body), *equation.out.indices)}
    for axis in equation.out.indices:
        digits = _digits(equation, axis)
        letters = {d: _letter(d, taken) for d in digits}
        taken |= {i.name for i in letters.values()}
        names |= letters
        axes.append(tuple(d.stride * letters[d] for d in digits) or (axis,))
    return tuple(axes), tuple(
        t.replaced(names) for t in equation.terms
    ) if names else equation.terms


def _digits(equation: Equation, axis: Index) -> list[Digit]:
    """Return the digits of `axis`, the widest first, if the right side reads nothing else of it."""
    found = {d for t in equation.terms for d in t.body.atoms(Digit) if d.index == axis}
    bare = {d: sympy.Dummy() for d in found}
    if not found or any(axis in indices_of(t.body.xreplace(bare)) for t in equation.terms):
        return []
    ordered = sorted(found, key=lambda d: _number(d.stride))
    want = 1
    for digit in ordered:
        if _number(digit.stride) != want or not digit.extent.free_symbols:
            return []
        want *= _number(digit.extent)
    return ordered[::-1] if want == _number(axis.extent) else []


def _letter(digit: Digit, taken: set[str]) -> Index:
    """Return the index that the digit is: its extent is the capital letter, as everywhere."""
    name = str(digit.extent)
    letter = name[:1].lower() + name[1:]
    while letter in taken:
        letter += "′"
    taken.add(letter)
    (extent,) = digit.extent.free_symbols
    return Index(letter, extent)


def _number(expr: Expr) -> int:
    values: Mapping[Expr, int | None] = {e: getattr(e, "value", None) for e in expr.free_symbols}
    return 0 if None in values.values() else int(expr.xreplace(values))

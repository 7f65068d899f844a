"""Products and their common factors: the algebra that a cotangent needs, and no more.

A formula is a sum of monomials `c Π base^exponent`. Nothing here calls `simplify`, which undoes
stable forms.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from typing import cast

import sympy
from sympy import Expr

from bpgen.ir.expr import Access, base_and_exponent, indices_of
from bpgen.ir.index import Index

Powers = dict[Expr, Expr]


def powers(monomial: Expr) -> tuple[sympy.Rational, Powers]:
    """Return the number in front and the exponent of each base.

    A base that is a sum has no common number and a fixed sign: `(2 m - 2 x)²` is 4 `(x - m)²`.
    """
    number, rest = monomial.as_coeff_Mul()
    found: Powers = {}
    for factor in sympy.Mul.make_args(rest):
        base, exponent = base_and_exponent(factor)
        if isinstance(base, sympy.Add) and exponent.is_Integer:
            content, base = base.primitive()
            if _is_negative(base):
                content, base = -content, -base
            number *= content**exponent
        found[base] = found.get(base, sympy.S.Zero) + exponent
    found.pop(sympy.S.One, None)
    return cast("sympy.Rational", number), found


@lru_cache(maxsize=1 << 14)
def _is_negative(base: sympy.Add) -> bool:
    """Whether the first term, in an order that the signs do not change, has a minus."""
    number, _ = min(
        (a.as_coeff_Mul() for a in base.args), key=lambda part: sympy.default_sort_key(part[1])
    )
    return bool(number.is_negative)


def product(found: Powers) -> Expr:
    """Return Π base^exponent."""
    return sympy.Mul(*_factors(found))


def _factors(found: Powers) -> list[Expr]:
    return [base**exponent for base, exponent in found.items()]


def factored(expr: Expr) -> Expr:
    """Take out what all monomials of a sum have in common: `p/N - δ/N` is `(p - δ)/N`."""
    if not expr.has(sympy.Add):
        return expr
    if not isinstance(expr, sympy.Add):
        number, found = powers(expr)
        return _positive(sympy.Mul(number, *_factors(found)))
    monomials = [powers(m) for m in expr.args]
    common = reduce(_shared, (found for _, found in monomials))
    numbers = [number for number, _ in monomials]
    content = reduce(sympy.gcd, numbers)
    if len({abs(c) for c in numbers}) > 1 and content.q != 1:
        content = sympy.Rational(content.p, 1) if content.p > 1 else sympy.S.One
    if not common and content == 1:
        return expr
    inner = sympy.Add(*(c / content * product(_divided(found, common)) for c, found in monomials))
    return _positive(sympy.Mul(content * product(common), inner))


def _positive(expr: Expr) -> Expr:
    """Write `-h (h - 1)` as `h (1 - h)`: no minus in front of a product that can take it inside."""
    if not isinstance(expr, sympy.Mul):
        return expr
    number, rest = expr.as_coeff_Mul()
    sums = [f for f in sympy.Mul.make_args(rest) if isinstance(f, sympy.Add)]
    if number.is_negative and sums:
        others = [f for f in sympy.Mul.make_args(rest) if f is not sums[0]]
        return sympy.Mul(-number, *others, -sums[0])
    return expr


def _shared(a: Powers, b: Powers) -> Powers:
    shared: Powers = {}
    for base, exponent in a.items():
        other = b.get(base)
        if other is not None and exponent.is_number and other.is_number and exponent * other > 0:
            shared[base] = min(exponent, other, key=abs)
    return shared


def _divided(found: Powers, by: Powers) -> Powers:
    return {base: e - by.get(base, sympy.S.Zero) for base, e in found.items()}


def replaced(expr: Expr, pattern: Powers, output: Expr) -> Expr:
    """Write `output` for `pattern` wherever it divides a product of `expr`: e/s² becomes p/s."""
    if isinstance(expr, sympy.Add):
        return sympy.Add(*(replaced(term, pattern, output) for term in expr.args))
    number, found = powers(expr)
    inner = {
        replaced(b, pattern, output) if isinstance(b, sympy.Add) else b: e for b, e in found.items()
    }
    times = min((_times(inner.get(base), e) for base, e in pattern.items()), default=0)
    if times == 0:
        return expr if inner == found else sympy.Mul(number, *_factors(inner))
    rest = {base: e - times * pattern.get(base, 0) for base, e in inner.items()}
    return sympy.Mul(number, *_factors(rest), output**times)


def _times(exponent: Expr | None, of: Expr) -> int:
    """Return how often `base^of` divides `base^exponent`."""
    if exponent is None or not (exponent.is_number and of.is_number):
        return 0
    return max(0, int(sympy.floor(exponent / of)))


def distributed(expr: Expr) -> list[Expr]:
    """Return the terms of a sum, or of a product with one sum: c (a - b) is c a, -c b."""
    sums = [f for f in sympy.Mul.make_args(expr) if isinstance(f, sympy.Add)]
    if len(sums) != 1:
        return list(sympy.Add.make_args(expr))
    others = [f for f in sympy.Mul.make_args(expr) if f is not sums[0]]
    return [sympy.Mul(*others, term) for term in sums[0].args]


def separated(monomial: Expr, over: tuple[Index, ...]) -> tuple[Expr, Expr]:
    """Split a product into what is free of the indices `over` and what depends on them."""
    bound = set(over)
    free: list[Expr] = []
    dependent: list[Expr] = []
    for factor in sympy.Mul.make_args(monomial):
        (dependent if indices_of(factor) & bound else free).append(factor)
    return sympy.Mul(*free), sympy.Mul(*dependent)


def is_trivial(expr: Expr) -> bool:
    """Whether `expr` is a number or a size times at most one entry: not worth a buffer."""
    _, found = powers(expr)
    entries = [b for b in found if isinstance(b, Access)]
    plain = all(isinstance(b, Access) or not b.has(Access, Index) for b in found)
    return plain and len(entries) <= 1 and all(found[b] == 1 for b in entries)

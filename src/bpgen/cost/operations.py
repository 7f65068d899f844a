"""What is done to compute a formula, operation by operation: each is one pass over arrays."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy.core.relational import Relational

from bpgen.ir.expr import Access, Delta, Where, indices_of
from bpgen.ir.index import Index


def operations(expr: sympy.Basic) -> Iterator[tuple[str, frozenset[Index]]]:
    """Yield the operations that compute `expr`, each with the indices of what it computes."""
    if isinstance(expr, Access):
        if any(at.has(Access) for at in expr.indices):
            yield "take", indices_of(expr)
        return
    if not expr.has(Access, Index):
        return
    for arg in expr.args[1:] if _is_largest(expr) else expr.args:
        yield from operations(arg)
    indices = indices_of(expr)
    for function in _functions(expr):
        yield function, indices


def _functions(expr: sympy.Basic) -> list[str]:
    """Return what is done at one node of a formula, when its arguments are known."""
    if isinstance(expr, sympy.Add | sympy.Mul):
        varying = [a for a in expr.args if a.has(Access, Index)]
        number = expr.func(*(a for a in expr.args if a not in varying))
        is_sign = isinstance(expr, sympy.Mul) and abs(number) == 1  # x - y is one call
        neutral = is_sign or number == expr.func()
        return ["arithmetic"] * (len(varying) - (1 if neutral else 0))
    if isinstance(expr, sympy.Pow):
        exponent = expr.exp
        if exponent == -1:
            return []  # counted by the product that it divides
        if abs(exponent) == sympy.S.Half:
            return ["sqrt"]
        return ["arithmetic"] if exponent.is_Integer and abs(exponent) <= 4 else ["power"]
    if isinstance(expr, Where):
        is_masked = any(branch == 0 for branch in expr.args[1:])
        return ["arithmetic" if is_masked or _is_largest(expr) else "choose"]
    if isinstance(expr, Delta):
        return ["equal"]
    if isinstance(expr, Relational | sympy.Max | sympy.Min | sympy.Abs):
        return ["arithmetic"]
    return [expr.func.__name__] if isinstance(expr, sympy.Function) else []


def _is_largest(expr: sympy.Basic) -> bool:
    """Whether a choice is between the two that it compares: one call finds the larger."""
    if not isinstance(expr, Where) or not isinstance(expr.args[0], Relational):
        return False
    return set(expr.args[0].args) == set(expr.args[1:])

"""What may stand in a formula, and the one form it is brought to.

Decimals become the fractions they stand for; |u|, max and piecewise formulas become choices with
stated values at the switch. What the language does not have is refused, with the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import sympy
from sympy import Expr

from bpgen.declare.option import decimal
from bpgen.declare.variable import Head, Variable, here
from bpgen.errors import FormulaError
from bpgen.ir.expr import Access, Delta, Digit, Hold, Pad, Sum, Where
from bpgen.ir.index import Extent, Index, size

# Each target spells these.
_EXPONENTIAL = ("exp", "expm1", "log", "log1p", "sinh", "cosh", "tanh", "erf")
_FUNCTIONS = (*_EXPONENTIAL, "sin", "cos", "tan", "atan")


_PIECEWISE = (sympy.Abs, sympy.sign, sympy.Max, sympy.Min, sympy.Heaviside, sympy.Piecewise)
_REWRITTEN = (*_PIECEWISE, sympy.Float)


def checked_formula(value: Any) -> Any:
    """Return `value` as a formula of the language, with sympy's piecewise functions as choices."""
    expr = _scalar(value)
    nodes = tuple(sympy.preorder_traversal(expr))
    if any(isinstance(node, _REWRITTEN) for node in nodes):
        expr = as_choices(exact(expr))
        nodes = tuple(sympy.preorder_traversal(expr))
    for node in nodes:
        _check_node(node)
    return expr


def _scalar(value: Any) -> Any:
    if isinstance(value, Variable):
        if value.tensor.is_scalar:
            return value[()]
        raise FormulaError(
            f"`{value.label}` stands in a formula without indices",
            where=here(),
            rule="A formula is written entry by entry.",
            way_out=f"Write {value!r}.",
        )
    expr = sympy.sympify(value)
    if not isinstance(expr, Expr):
        raise FormulaError(
            f"{value!r} is not a formula", where=here(), way_out="Write a formula of entries."
        )
    return expr


def exact(expr: Any) -> Any:
    """Write every decimal as the fraction it stands for: 1/10 for 0.1."""
    return expr.xreplace({d: decimal(float(d)) for d in expr.atoms(sympy.Float)})


def as_choices(expr: Any) -> Any:
    """Write |u|, sign u, max(u, v) and piecewise formulas as choices, with stated values there.

    |u|′ = 0 at u = 0; a tie with a number goes to the number, so that max(0, u)′ = 0 at u = 0.
    """
    if not expr.has(*_PIECEWISE):
        return expr
    args = [as_choices(a) if isinstance(a, Expr) else a for a in expr.args]
    match expr:
        case sympy.Abs():
            return Where(args[0] > 0, args[0], Where(args[0] < 0, -args[0], 0))
        case sympy.sign():
            return Where(args[0] > 0, 1, Where(args[0] < 0, -1, 0))
        case sympy.Heaviside():
            return Where(args[0] > 0, 1, 0)
        case sympy.Max():
            return _extreme(args, lambda a, b: a > b)
        case sympy.Min():
            return _extreme(args, lambda a, b: a < b)
        case sympy.Piecewise():
            pairs = [(as_choices(value), condition) for value, condition in expr.args]
            choice = pairs[-1][0]
            for value, condition in reversed(pairs[:-1]):
                choice = Where(condition, value, choice)
            return choice
        case _:
            return expr.func(*args)


def _extreme(args: list[Any], precedes: Callable[[Any, Any], Any]) -> Any:
    choice, *others = sorted(args, key=lambda a: not a.is_number)
    for value in others:
        choice = Where(precedes(value, choice), value, choice)
    return choice


def _check_node(node: sympy.Basic) -> None:
    match node:
        case Access() | Sum() | Where() | Hold() | Pad() | Delta() | Digit() | Index() | Extent():
            return
        case Head() | sympy.S.NegativeInfinity:
            return
        case (
            sympy.Add()
            | sympy.Mul()
            | sympy.Pow()
            | sympy.Tuple()
            | sympy.core.relational.Relational()
        ):
            return
        case sympy.Number() | sympy.NumberSymbol() | sympy.logic.boolalg.BooleanAtom():
            return
        case sympy.Function() if node.func.__name__ in _FUNCTIONS:
            return
        case sympy.Symbol():
            raise FormulaError(
                f"`{node}` in the formula is neither an entry nor an index",
                where=here(),
                rule="A formula holds entries `x[n,d]`, numbers, extents and indices.",
                way_out=f'Declare it, bp.parameter("{node}") or bp.input("{node}"), '
                f"and read {node}[()].",
            )
        case _:
            raise FormulaError(
                f"`{getattr(node, 'func', type(node)).__name__}` is not a function of the language",
                where=here(),
                disagree=f"it stands in {node}; the functions are {', '.join(_FUNCTIONS)}",
                way_out="Write it by those, by `bp.where`, and by + - * / and powers.",
            )


def reduction(kind: type[Sum], formula: Any, over: Index | Iterable[Index]) -> Expr:
    """Return the node of a sum or a maximum over one index or several."""
    bound = (over,) if isinstance(over, Index) else tuple(over)
    return kind(checked_formula(formula), bound)


def mean(formula: Any, over: Index | Iterable[Index]) -> Expr:
    """Return Σ_over formula / Π extents."""
    bound = (over,) if isinstance(over, Index) else tuple(over)
    return Sum(checked_formula(formula) / size(bound), bound)


def where(condition: Any, a: Any, b: Any) -> Expr:
    """Return the formula `a` where `condition` (a comparison of formulas) holds, else `b`."""
    return Where(condition, _scalar(a), _scalar(b))


def pad(entry: Any, value: Any = 0) -> Expr:
    """Return `entry`, or `value` where its indices leave the tensor: `bp.pad(x[n, h + u - 1])`.

    Errors: FormulaError if `entry` is not an entry of a tensor, or `value` not a number.
    """
    number = sympy.sympify(value)
    if not isinstance(entry, Access) or not (number.is_Number or number.is_NumberSymbol):
        raise FormulaError(
            f"bp.pad cannot pad {entry!r} by {value!r}",
            where=here(),
            rule="It takes one entry of a tensor, and the number that stands outside.",
            way_out="Write bp.pad(x[n, h + u - 1]) or bp.pad(x[n, h + u - 1], -sympy.oo).",
        )
    return Pad(entry, exact(number))

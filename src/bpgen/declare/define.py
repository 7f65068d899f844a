"""`bp.define` and the formulas it takes: any scalar formula of entries becomes equations of one operation.

A sum that stands inside a formula, a maximum, a held value and an entry whose address is data each
become an equation of their own, named after the tensor they serve: `pooled_sum`, `pooled_max`,
`logits_at_digit`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import sympy
from sympy import Expr

from bpgen.declare.option import decimal
from bpgen.declare.variable import Auto, Head, Name, Variable, here, provisional
from bpgen.errors import FormulaError, IndexUseError
from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Access, Delta, Digit, Hold, Max, Sum, Where, accesses
from bpgen.ir.index import Extent, Index, size
from bpgen.ir.tensor import Role, Tensor

_FUNCTIONS = (
    "exp log sin cos tan tanh sinh cosh atan erf log1p expm1 "  # each target spells these
).split()


def define(
    name: Name,
    indices: Iterable[Index],
    formula: Any,
    *,
    predict: Any = None,
    beside: tuple[Variable, ...] = (),
) -> Variable:
    """Define a tensor entry by entry: `name[indices] = formula`.

    Formula:
        out[I] = formula(I), with `bp.sum`, `bp.max`, `bp.mean` over further indices.

    Shapes: `indices` are the axes of the result, in order.
    `predict` is the formula where no gradient is wanted, if it differs (dropout). `beside` are
    tensors that the formula does not read, but that its gradient is well written with (the
    probabilities of a softmax).
    Errors: IndexUseError if an index is neither on the left nor summed; FormulaError outside the language.
    """
    over = tuple(indices)
    expr = _formula(formula)
    _check_indices(name, over, expr)
    held = isinstance(expr, Hold)
    role = Role.CONSTANT if held else Role.ACTIVATION
    terms, op = _terms(name, over, expr.args[0] if held else expr)
    other = None if predict is None else _terms(name, over, _formula(predict))[0]
    tensor = Tensor(provisional(_stem(name)), over, role, where=here())
    return Variable(name, tensor, Equation(tensor, terms, op, tensor.where, other), beside)


def reduction(kind: type[Sum], formula: Any, over: Index | Iterable[Index]) -> Expr:
    """Return the node of a sum or a maximum over one index or several."""
    bound = (over,) if isinstance(over, Index) else tuple(over)
    return kind(_formula(formula), bound)


def mean(formula: Any, over: Index | Iterable[Index]) -> Expr:
    """Return Σ_over formula / Π extents."""
    bound = (over,) if isinstance(over, Index) else tuple(over)
    return Sum(_formula(formula) / size(bound), bound)


def where(condition: Any, a: Any, b: Any) -> Expr:
    """Return the formula `a` where `condition` (a comparison of formulas) holds, else `b`."""
    return Where(condition, _scalar(a), _scalar(b))


def hold(value: Any) -> Any:
    """Return `value` as a constant of the derivation: no cotangent flows through it."""
    if isinstance(value, Variable):
        return define(
            Auto(f"{value.label}_held", always=False), value.indices, hold(value[value.indices])
        )
    return Hold(_formula(value))


def _formula(value: Any) -> Expr:
    """Return `value` as a formula of the language, with sympy's piecewise functions as choices."""
    expr = as_choices(_scalar(value))
    for node in sympy.preorder_traversal(expr):
        _check_node(node)
    return expr


def _scalar(value: Any) -> Expr:
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
    return exact(expr)


def exact(expr: Expr) -> Expr:
    """Write every decimal as the fraction it stands for: 0.1 is 1/10, not the nearest binary number."""
    return expr.xreplace({d: decimal(d) for d in expr.atoms(sympy.Float)})


def as_choices(expr: Expr) -> Expr:
    """Write |u|, sign u, max(u, v) and piecewise formulas as choices, with stated values at the switch.

    |u|′ = 0 at u = 0; a tie with a number goes to the number, so that max(0, u)′ = 0 at u = 0.
    """
    if not expr.has(sympy.Abs, sympy.sign, sympy.Max, sympy.Min, sympy.Heaviside, sympy.Piecewise):
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


def _extreme(args: list[Expr], precedes: Any) -> Expr:
    choice, *others = sorted(args, key=lambda a: not a.is_number)
    for value in others:
        choice = Where(precedes(value, choice), value, choice)
    return choice


def _check_node(node: sympy.Basic) -> None:
    match node:
        case Access() | Sum() | Where() | Hold() | Delta() | Digit() | Index() | Extent() | Head():
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
                way_out=f'Declare it: bp.parameter("{node}") or bp.input("{node}"), read as {node}[()].',
            )
        case _:
            raise FormulaError(
                f"`{getattr(node, 'func', type(node)).__name__}` is not a function of the language",
                where=here(),
                disagree=f"it stands in {node}; the functions are {', '.join(_FUNCTIONS)}",
                way_out="Write it by those, by `bp.where`, and by + - * / and powers.",
            )


def _check_indices(name: Name, over: tuple[Index, ...], expr: Expr) -> None:
    if len(set(over)) != len(over):
        raise IndexUseError(
            f"`{_stem(name)}` has one index twice on its left side",
            where=here(),
            disagree=f"the left side is {_stem(name)}[{','.join(map(str, over))}]",
            way_out="Take another index with the same extent for one of the axes.",
        )
    missing = sorted(map(str, _free(expr) - set(over)))
    if missing:
        raise IndexUseError(
            f"unknown index `{missing[0]}` in the formula of `{_stem(name)}`",
            where=here(),
            disagree=f"the left side is {_stem(name)}[{','.join(map(str, over))}]; "
            f"the formula reads `{missing[0]}` outside any sum",
            rule="Every index of a formula stands on the left side, or is summed over.",
            way_out=f"Sum over it: bp.sum(…, over={missing[0]}), or put it on the left.",
        )


def _free(expr: Expr) -> frozenset[Index]:
    if isinstance(expr, Sum):
        return _free(expr.body) - frozenset(expr.over)
    if isinstance(expr, Index):
        return frozenset({expr})
    return frozenset().union(*(_free(a) for a in expr.args)) if expr.args else frozenset()


def _stem(name: Name) -> str:
    return name if isinstance(name, str) else name.plain


# ---- the normal form --------------------------------------------------------------------------------


def _terms(name: Name, over: tuple[Index, ...], expr: Expr) -> tuple[tuple[Term, ...], Op]:
    """Bring `expr` to the form of an equation; what does not fit becomes an equation of its own."""
    if isinstance(expr, Max):
        return _maximum(name, over, expr)
    sums, rest = [], []
    for part in sympy.Add.make_args(expr):
        factor, node = _scaled_sum(part)
        if node is None:
            rest.append(_split(name, over, part))
        else:
            body = _split(name, over + node.over, sympy.sympify(factor * node.body))
            sums.append(Term(_isolated(name, over + node.over, body), node.over))
    if rest:
        body = sympy.Add(*rest)
        alone = not sums and isinstance(body, Access)
        sums.append(Term(body if alone else _isolated(name, over, body)))
    return tuple(sums), Op.SUM


def _maximum(name: Name, over: tuple[Index, ...], expr: Max) -> tuple[tuple[Term, ...], Op]:
    """A maximum over several indices is one after the other, the last index first: ties go to the first."""
    *outer, last = expr.over
    body = expr.body
    if outer:
        inner = define(_served(name, "max"), _ordered(Max(body, (last,)), over), Max(body, (last,)))
        return _maximum(name, over, Max(inner[inner.indices], tuple(outer)))
    body = _split(name, (*over, last), body)
    return (Term(_isolated(name, (*over, last), body), (last,)),), Op.MAX


def _scaled_sum(part: Expr) -> tuple[Expr, Sum | None]:
    """Take `c Σ …` apart when c is a number or a size; any other factor would be worth a name of its own."""
    if isinstance(part, Sum) and not isinstance(part, Max):
        return sympy.S.One, part
    factors = sympy.Mul.make_args(part)
    nodes = [f for f in factors if isinstance(f, Sum) and not isinstance(f, Max)]
    others = [f for f in factors if f not in nodes]
    if len(nodes) == 1 and not any(f.has(Access, Sum, Index) for f in others):
        return sympy.Mul(*others), nodes[0]
    return sympy.S.One, None


def _split(name: Name, over: tuple[Index, ...], expr: Expr) -> Expr:
    """Replace every sum, maximum and held value inside `expr` by an entry of a tensor of its own."""
    if not expr.has(Sum, Max, Hold):
        return expr
    if isinstance(expr, Sum | Hold):
        kind = {Sum: "sum", Max: "max"}.get(type(expr), "held")
        piece = define(_served(name, kind), _ordered(expr, over), expr)
        return piece[piece.indices]
    return expr.func(
        *(_split(name, over, a) if isinstance(a, sympy.Basic) else a for a in expr.args)
    )


def _isolated(name: Name, over: tuple[Index, ...], body: Expr) -> Expr:
    """Give every entry whose address is data a tensor of its own: a gather is one operation."""
    for entry in accesses(body):
        if any(at.has(Access) for at in entry.indices):
            address = next(a for at in entry.indices for a in accesses(at))
            label = Auto("{}_at_{}", always=False, of=(_variable(entry), _variable(address)))
            piece = define(label, _ordered(entry, over), entry)
            body = body.xreplace({entry: piece[piece.indices]})
    return body


def _variable(entry: Access) -> Variable:
    head = entry.head
    assert isinstance(head, Head)
    return head.variable


def _served(name: Name, kind: str) -> Auto:
    return Auto(f"{_stem(name)}_{kind}", always=False)


def _ordered(expr: Expr, over: tuple[Index, ...]) -> tuple[Index, ...]:
    free = _free(expr)
    return tuple(i for i in over if i in free)


def renamed(equation: Equation, tensor: Tensor, mapping: dict[Expr, Expr]) -> Equation:
    """Return `equation` with final names: `tensor` on the left, `mapping` applied on the right."""
    predict = equation.predict and tuple(t.replaced(mapping) for t in equation.predict)
    terms = tuple(t.replaced(mapping) for t in equation.terms)
    return replace(equation, out=tensor, terms=terms, predict=predict)

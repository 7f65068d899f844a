"""`bp.define`: any scalar formula of entries becomes equations of one operation.

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

from bpgen.declare.formula import checked_formula
from bpgen.declare.variable import (
    Auto,
    Head,
    Name,
    Variable,
    check_once,
    here,
    provisional,
)
from bpgen.errors import IndexUseError
from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Access, Hold, Max, Sum, accesses
from bpgen.ir.index import Index
from bpgen.ir.tensor import Role, Tensor


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
    Errors: IndexUseError if an index is neither on the left nor summed; FormulaError outside the
    language.
    """
    over = tuple(indices)
    expr = checked_formula(formula)
    _check_indices(name, over, expr)
    held = isinstance(expr, Hold)
    role = Role.CONSTANT if held else Role.ACTIVATION
    terms, op = _terms(name, over, expr.args[0] if held else expr)
    other = None if predict is None else _terms(name, over, checked_formula(predict))[0]
    tensor = Tensor(provisional(_stem(name)), over, role, where=here())
    return Variable(name, tensor, Equation(tensor, terms, op, tensor.where, other), beside)


def hold(value: Any) -> Any:
    """Return `value` as a constant of the derivation: no cotangent flows through it."""
    if isinstance(value, Variable):
        return define(
            Auto(f"{value.label}_held", always=False), value.indices, hold(value[value.indices])
        )
    return Hold(checked_formula(value))


def _check_indices(name: Name, over: tuple[Index, ...], expr: Expr) -> None:
    check_once(_stem(name), over)
    summed = {i for node in expr.atoms(Sum) for i in node.over} & {*over}
    if summed:
        index = min(summed, key=str)
        raise IndexUseError(
            f"index `{index}` of `{_stem(name)}` is summed, and stands on the left too",
            where=here(),
            disagree=f"the left side is {_stem(name)}[{','.join(map(str, over))}]",
            rule="A summed index is gone from the result.",
            way_out="Sum over another index of the same extent: "
            f'bp.index("…", {index.extent.value}).',
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


# ---- the normal form -----------------------------------------------------------------------------


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
            sums.append(Term(_isolated(over + node.over, body), node.over))
    if rest:
        body = sympy.Add(*rest)
        alone = not sums and isinstance(body, Access)
        sums.append(Term(body if alone else _isolated(over, body)))
    return tuple(sums), Op.SUM


def _maximum(name: Name, over: tuple[Index, ...], expr: Max) -> tuple[tuple[Term, ...], Op]:
    """Take a maximum over several indices one by one, the last first: the first wins a tie."""
    *outer, last = expr.over
    body = expr.body
    if outer:
        one = Max(body, (last,))
        inner = define(_served(name, "max"), _ordered(one, (*over, *outer)), one)
        return _maximum(name, over, Max(inner[inner.indices], tuple(outer)))
    body = _split(name, (*over, last), body)
    return (Term(_isolated((*over, last), body), (last,)),), Op.MAX


def _scaled_sum(part: Expr) -> tuple[Expr, Sum | None]:
    """Take `c Σ …` apart if c is a number or a size; another factor is worth a name of its own."""
    if isinstance(part, Sum) and not isinstance(part, Max):
        return sympy.S.One, part
    factors = sympy.Mul.make_args(part)
    nodes = [f for f in factors if isinstance(f, Sum) and not isinstance(f, Max)]
    others = [f for f in factors if f not in nodes]
    if len(nodes) == 1 and not any(f.has(Access, Sum, Index) for f in others):
        return sympy.Mul(*others), nodes[0]
    return sympy.S.One, None


def _split(name: Name, over: tuple[Index, ...], expr: Expr) -> Expr:
    """Replace every sum, maximum and held value inside `expr` by an entry of its own tensor."""
    if not expr.has(Sum, Max, Hold):
        return expr
    if isinstance(expr, Sum | Hold):
        kind = {Sum: "sum", Max: "max"}.get(type(expr), "held")
        piece = define(_served(name, kind), _ordered(expr, over), expr)
        return piece[piece.indices]
    return expr.func(
        *(_split(name, over, a) if isinstance(a, sympy.Basic) else a for a in expr.args)
    )


def _isolated(over: tuple[Index, ...], body: Expr) -> Expr:
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

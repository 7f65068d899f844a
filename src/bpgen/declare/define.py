"""`bp.define`: any scalar formula of entries becomes equations of one operation.

A sum that stands inside a formula, a maximum, a held value and an entry whose address is data each
become an equation of their own, named after the tensor they serve: `pooled_sum`, `pooled_max`,
`logits_at_digit`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import sympy
from sympy import Expr

from bpgen.declare.formula import checked_formula
from bpgen.declare.variable import (
    Auto,
    Name,
    Variable,
    check_once,
    here,
    provisional,
)
from bpgen.declare.window import (
    bordered,
    check_reads,
    is_shifted,
    joined_axes,
    leaves,
    split_axes,
    variable_of,
)
from bpgen.errors import IndexUseError
from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Access, Hold, Max, Pad, Sum, accesses
from bpgen.ir.index import Index
from bpgen.ir.tensor import Role, Tensor


def define(
    name: Name,
    indices: Iterable[Any],
    formula: Any,
    *,
    predict: Any = None,
    beside: tuple[Variable, ...] = (),
) -> Variable:
    """Define a tensor entry by entry: `name[indices] = formula`.

    Formula:
        out[I] = formula(I), with `bp.sum`, `bp.max`, `bp.mean` over further indices.

    Shapes: `indices` are the axes of the result, in order. An axis may join several indices,
    `2*h + u`, if every entry of it is written once.
    `predict` is the formula where no gradient is wanted, if it differs (dropout). `beside` are
    tensors that the formula does not read, but that its gradient is well written with (the
    probabilities of a softmax).
    Errors: IndexUseError if an index is neither on the left nor summed, can leave a tensor, or if
    an entry is written twice or never; FormulaError outside the language.
    """
    over = tuple(indices)
    if any(not isinstance(i, Index) for i in over):
        axes, parts, digits = split_axes(_stem(name), over)
        split = define(Auto(f"{_stem(name)}_split", always=False), parts, formula, predict=predict)
        return define(name, axes, split[digits], beside=beside)
    expr = checked_formula(formula)
    _check_indices(name, over, expr)
    check_reads(expr)
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
        if _is_border(part, expr):
            sums.append(Term(part))
        elif node is None:
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
    body = _split(name, (*over, *expr.over), expr.body)
    if outer:
        inside, windows = joined_axes(body, tuple(outer))
        one = Max(inside, (last,))
        inner = define(_served(name, "max"), _ordered(one, (*over, *outer), windows), one)
        at = (windows.get(i, i) for i in inner.indices)
        return _maximum(name, over, Max(Access(inner.head, *at), tuple(outer)))
    return (Term(_isolated((*over, last), body), (last,)),), Op.MAX


def _is_border(part: Expr, whole: Expr) -> bool:
    """Whether `part` is a term of its own: a shifted entry, and what stands outside."""
    number, pad = part.as_coeff_Mul()
    alone = isinstance(pad, Pad) and (pad.value == 0 or (part == whole and number == 1))
    return bool(alone) and is_shifted(pad.entry) and leaves(pad.entry)


def _padded(pad: Pad) -> Expr:
    """Give the tensor that `pad` reads a border, as an equation of its own, and read inside it."""
    if not leaves(pad.entry):
        return pad.entry
    axes, border, at = bordered(pad)
    label = Auto("{}_pad", always=False, of=(variable_of(pad.entry),))
    return Access(define(label, axes, border).head, *at)


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
    if not expr.has(Sum, Max, Hold, Pad):
        return expr
    if isinstance(expr, Pad):
        return _padded(expr)
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
            label = Auto("{}_at_{}", always=False, of=(variable_of(entry), variable_of(address)))
            piece = define(label, _ordered(entry, over), entry)
            body = body.xreplace({entry: piece[piece.indices]})
    return body


def _served(name: Name, kind: str) -> Auto:
    return Auto(f"{_stem(name)}_{kind}", always=False)


def _ordered(
    expr: Expr, over: tuple[Index, ...], windows: Mapping[Index, Expr] | None = None
) -> tuple[Index, ...]:
    """Return the free indices of `expr` in the order of `over`; a window stands at its first."""
    free = _free(expr)
    place = {
        wide: min(over.index(i) for i in e.free_symbols if i in over)
        for wide, e in (windows or {}).items()
    }
    return tuple(sorted(free, key=lambda i: place[i] if i in place else over.index(i)))


def renamed(equation: Equation, tensor: Tensor, mapping: dict[Expr, Expr]) -> Equation:
    """Return `equation` with final names: `tensor` on the left, `mapping` applied on the right."""
    predict = equation.predict and tuple(t.replaced(mapping) for t in equation.predict)
    terms = tuple(t.replaced(mapping) for t in equation.terms)
    return replace(equation, out=tensor, terms=terms, predict=predict)

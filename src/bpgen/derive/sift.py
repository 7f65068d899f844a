"""The index calculus of the chain rule, which finds the entries of `y` that read `x[J]`.

    ∂L/∂x[J] += Σ_{F,R} f(F,R) Π_k δ(φ_k(F,R), J_k)

Each index expression φ_k of the access removes one index from the sum by naming it after J_k. What
cannot be removed stays as a δ: an address that comes from data, or a second use of the same index.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy
from sympy import Expr

from bpgen.ir.equation import Term
from bpgen.ir.expr import Access, Delta, Digit
from bpgen.ir.index import Index


@dataclass(frozen=True, slots=True)
class Sifted:
    """How to rewrite a contribution: rename by `mapping`, multiply by `deltas`, sum over `over`."""

    mapping: dict[Expr, Expr]
    deltas: tuple[Expr, ...]
    over: tuple[Index, ...]


def sift(read: Access, target: tuple[Index, ...], bound: tuple[Index, ...]) -> Sifted:
    """Remove from the sum over `bound` the indices that `read` ties to the indices `target`."""
    left = dict.fromkeys(bound)
    mapping: dict[Expr, Expr] = {}
    ties: list[tuple[Index, Expr]] = []
    _digits(read.indices, target, left, mapping)
    for at, j in zip(read.indices, target, strict=True):
        if isinstance(at, Index) and at in left:
            left.pop(at)
            mapping[at] = j
        elif isinstance(at, Digit) and at.index in mapping:
            continue
        elif not _composed(at, j, left, mapping):
            ties.append((j, at))
    names = {j.name for j in target}
    for index in [i for i in left if i.name in names]:
        mapping[index] = index.primed()
    over = tuple(mapping.get(i, i) for i in left)
    deltas = tuple(Delta(j, at.xreplace(mapping)) for j, at in ties)
    return Sifted(mapping, deltas, over)


def collapsed(term: Term) -> Term:
    """Remove a δ that ties a summed index to a number: Σ_t δ(t,0) f(t) = f(0)."""
    for factor in sympy.Mul.make_args(term.body):
        if (
            isinstance(factor, Delta)
            and factor.args[0] in term.over
            and not is_moving(factor.args[1])
        ):
            index, at = factor.args
            rest = term.body.xreplace({factor: sympy.S.One}).xreplace({index: at})
            return collapsed(Term(rest, tuple(i for i in term.over if i != index)))
    return term


def is_moving(at: Expr) -> bool:
    """Whether an index expression takes more than one value: it holds an index, or data."""
    return bool(at.has(Access, Index))


def _digits(
    ats: tuple[Expr, ...],
    target: tuple[Index, ...],
    left: dict[Index, None],
    mapping: dict[Expr, Expr],
) -> None:
    """Invert a reshape: the digits of one index, all of them, give it back as Σ stride · digit."""
    found: dict[Index, list[tuple[Digit, Index]]] = {}
    for at, j in zip(ats, target, strict=True):
        if isinstance(at, Digit) and at.index in left:
            found.setdefault(at.index, []).append((at, j))
    for index, digits in found.items():
        if _covers([(d.stride, d.extent) for d, _ in digits], index.extent):
            left.pop(index)
            mapping[index] = sympy.Add(*(d.stride * j for d, j in digits))


def _composed(at: Expr, j: Index, left: dict[Index, None], mapping: dict[Expr, Expr]) -> bool:
    """Invert the join of axes: j = Σ stride · index gives each index as a digit of j."""
    parts = [_strided(term) for term in sympy.Add.make_args(at)]
    pairs = [p for p in parts if p is not None and p[1] in left]
    if len(pairs) < len(parts) or len(pairs) < 2:
        return False
    if not _covers([(stride, i.extent) for stride, i in pairs], j.extent):
        return False
    for stride, index in pairs:
        left.pop(index)
        mapping[index] = Digit(j, stride, index.extent)
    return True


def _strided(term: Expr) -> tuple[Expr, Index] | None:
    indices = [s for s in sympy.Mul.make_args(term) if isinstance(s, Index)]
    return (sympy.cancel(term / indices[0]), indices[0]) if len(indices) == 1 else None


def _covers(digits: list[tuple[Expr, Expr]], extent: Expr) -> bool:
    """Whether strides and extents make a complete mixed radix 1, r1, r1·r2, …, `extent`."""
    want = 1
    for stride, radix in sorted((_number(s), _number(r)) for s, r in digits):
        if stride != want or radix == 0:
            return False
        want *= radix
    return want == _number(extent)


def _number(expr: Expr) -> int:
    """Return the value of a formula of extents; 0 if one of them is free."""
    values = {e: getattr(e, "value", None) for e in expr.free_symbols}
    return 0 if None in values.values() else int(expr.xreplace(values))

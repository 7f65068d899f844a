"""From an equation to statements: which kind of operation computes each term."""

from __future__ import annotations

from dataclasses import replace

import sympy
from sympy import Expr

from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Access, Delta, Pad, indices_of
from bpgen.ir.index import Index
from bpgen.ir.program import (
    Carry,
    Contract,
    Gather,
    Map,
    Reduce,
    Single,
    Statement,
    Step,
    View,
)
from bpgen.ir.tensor import Tensor


def step(equation: Equation, around: tuple[Index, ...] = (), *, adds: bool = False) -> Step:
    """Return the statements of `equation`: products first, so that the rest is added in place.

    `around` are the indices of the loops it stands in; with `adds` the result holds terms already.
    """
    found = [_placed(equation, term, around) for term in equation.terms]
    whole = [s for s in found if not isinstance(s, Single)]
    singles = [s for s in found if isinstance(s, Single)]
    if singles and not (whole or adds or _cover(singles)):
        whole = [Map(equation.out, sympy.S.Zero)]
    whole.sort(key=lambda s: (Contract, Reduce, Gather, View, Map, Carry).index(type(s)))
    first = whole[:1] if not adds else []
    more = whole[len(first) :]
    seen: set[tuple[Index, Expr]] = set()
    for k, single in enumerate(singles):
        if whole or adds or (single.index, single.at) in seen:
            singles[k] = replace(single, statement=replace(single.statement, accumulate=True))
        seen.add((single.index, single.at))
    return Step(equation, (*first, *map(_added, more), *singles), adds)


def is_view(equation: Equation) -> bool:
    """Whether `equation` computes nothing: it sees the entries of a tensor under other indices."""
    return isinstance(step(equation).statements[0], View)


def _cover(singles: list[Single]) -> bool:
    """Whether the statements together write every entry of their axis."""
    (index, *others) = {s.index for s in singles}
    return not others and {s.at for s in singles} == set(range(index.extent.value or 0))


def _added(statement: Statement) -> Statement:
    assert isinstance(statement, Map | Reduce | Contract | Carry), f"{statement} stands alone"
    return replace(statement, accumulate=True)


def _placed(equation: Equation, term: Term, around: tuple[Index, ...]) -> Statement:
    """Write a term that is 0 but at one value of an index there, and nowhere else."""
    for factor in sympy.Mul.make_args(term.body):
        if isinstance(factor, Delta) and not factor.args[1].has(Access, Index):
            index, at = factor.args
            if index in equation.out.indices and index not in around:
                body = term.body.xreplace({factor: sympy.S.One}).xreplace({index: at})
                inner = _statement(equation, Term(body, term.over), ())
                assert isinstance(inner, Map | Reduce | Contract), f"{inner} has no one entry"
                return Single(index, at, inner)
    return _statement(equation, term, around)


def _statement(equation: Equation, term: Term, around: tuple[Index, ...]) -> Statement:
    out, body = equation.out, term.body
    if term.over:
        return _reduction(out, term, equation.op)
    if isinstance(body, Pad):
        turn = [i for i in around if any(at != i and at.has(i) for at in body.entry.indices)]
        if turn:
            return Carry(out, body.entry, body.value, turn[0])
    if isinstance(body, Access) and len(equation.terms) == 1:
        if any(at.has(Access) for at in body.indices):
            return Gather(out, body)
        if any(not isinstance(at, Index) for at in body.indices):
            return View(out, body)
    return Map(out, body)


def _reduction(out: Tensor, term: Term, op: Op) -> Statement:
    factors = sympy.Mul.make_args(term.body)
    plain = [f for f in factors if not f.has(Access, Index)]
    entries = [base for f in factors if f not in plain for base in _unsquared(f)]
    if op is not Op.SUM or len(entries) < 2:
        return Reduce(out, term.body, term.over, op)
    groups = _grouped(entries)
    return Contract(out, tuple(groups), term.over, sympy.Mul(*plain))


def _unsquared(factor: Expr) -> tuple[Expr, ...]:
    """Write the square of an entry as a product: its sum is that of a tensor with itself."""
    base, exponent = factor.as_base_exp()
    return (base, base) if isinstance(base, Access) and exponent == 2 else (factor,)


def _grouped(factors: list[Expr]) -> list[Expr]:
    """Multiply factors together until two are left, if that needs no larger iteration space.

    A factor joins the smallest other one that has all its indices: `a[n] x[n,d] g[n,h]` becomes
    `(a[n] x[n,d]) g[n,h]`.
    """
    groups = sorted(factors, key=lambda f: (len(indices_of(f)), sympy.default_sort_key(f)))
    while len(groups) > 2:
        place = next(
            (
                (k, j)
                for k, small in enumerate(groups)
                for j, large in enumerate(groups)
                if j != k and indices_of(small) <= indices_of(large)
            ),
            None,
        )
        if place is None:
            return groups
        k, j = place
        rest = [g for at, g in enumerate(groups) if at not in place]
        groups = [groups[k] * groups[j], *rest]
    return groups

"""From an equation to statements: which kind of operation computes each term."""

from __future__ import annotations

from dataclasses import replace

import sympy
from sympy import Expr

from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Access, Digit, indices_of
from bpgen.ir.index import Index
from bpgen.ir.program import Contract, Gather, Map, Reduce, Statement, Step, View
from bpgen.ir.tensor import Tensor


def step(equation: Equation) -> Step:
    """Return the statements of `equation`: products first, so that the rest is added in place."""
    found = [_statement(equation, term) for term in equation.terms]
    found.sort(key=lambda s: (Contract, Reduce, Gather, View, Map).index(type(s)))
    return Step(equation, (found[0], *(_added(s) for s in found[1:])))


def _added(statement: Statement) -> Statement:
    assert isinstance(statement, Map | Reduce | Contract), f"{statement} stands alone"
    return replace(statement, accumulate=True)


def _statement(equation: Equation, term: Term) -> Statement:
    out, body = equation.out, term.body
    if term.over:
        return _reduction(out, term, equation.op)
    if isinstance(body, Access) and len(equation.terms) == 1:
        if any(at.has(Access) for at in body.indices):
            return Gather(out, body)
        if any(isinstance(at, Digit | sympy.Add) for at in body.indices):
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

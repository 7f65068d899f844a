"""Update rules as formulas: `update("sgd", rate, (theta, theta - lr * g))`.

An assignment is a pair: an entry, and the formula of its new value, in which every entry has its
value of that moment. The rules of `bpgen.optimizers` are written with the names of this module and
nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy
from sympy import Expr

from bpgen.declare.formula import as_choices, exact
from bpgen.declare.option import option
from bpgen.ir.equation import Equation, Term
from bpgen.ir.expr import Access, Sum, Where
from bpgen.ir.index import Scalar
from bpgen.ir.optimizer import ENTRY, GRADIENT, RATE, STEP, THETA, Optimizer
from bpgen.ir.tensor import Role, Tensor

theta = THETA.canonical
g = GRADIENT.canonical
t = STEP
lr = RATE

Assignment = tuple[Access | Scalar, Any]
Schedule = Callable[[Expr], Expr]
Rate = float | Schedule


def state(name: str) -> Access:
    """Return an entry of a vector that is kept from step to step and starts at 0: `m[i]`."""
    return Tensor(name, (ENTRY,), Role.STATE).canonical


def scalar(name: str) -> Scalar:
    """Return a number that is computed once a step: `c1`."""
    return Scalar(name)


def total(formula: Expr) -> Expr:
    """Return the sum of `formula` over all parameters: `total(g**2)` is the norm of g, squared."""
    return Sum(formula, (ENTRY,))


def clip_by_global_norm(limit: float | None) -> tuple[Assignment, ...]:
    """Scale the gradient so that its norm is at most `limit`; do nothing if there is no limit.

    Formula:
        norm² = Σ_i g[i]²,  g[i] ← g[i] min(1, limit / norm)

    Units: `limit` is in units of the gradient.
    Source: Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, algorithm 1.
    """
    if limit is None:
        return ()
    option("`clip`", limit, above=0)
    square, norm, scale = scalar("g_square"), scalar("g_norm"), scalar("g_scale")
    return (
        (square, total(g**2)),
        (norm, sympy.sqrt(square)),
        (scale, Where(norm > limit, limit / norm, 1)),
        (g, g * scale),
    )


def update(name: str, rate: Rate, *assignments: Assignment, clip: float | None = None) -> Optimizer:
    """Return the optimizer that carries out `assignments` in order in every step.

    `rate` is the learning rate: a number, or a schedule (a formula of the step number `t` = 1, 2,
    …). `clip` is the largest allowed norm of the gradient.
    Errors: OptionError if a constant rate or `clip` is not positive.
    """
    formula = rate(t) if callable(rate) else option("the learning rate", rate, above=0)
    pairs = ((lr, formula), *clip_by_global_norm(clip), *assignments)
    equations = tuple(
        _equation(target, as_choices(exact(sympy.sympify(value)))) for target, value in pairs
    )
    outs = dict.fromkeys(e.out for e in equations if e.out.role is Role.STATE)
    return Optimizer(name, tuple(outs), equations)


def _equation(target: Access | Scalar, value: Expr) -> Equation:
    known = {THETA.name: THETA, GRADIENT.name: GRADIENT}
    if isinstance(target, Scalar):
        tensor = Tensor(target.name, (), Role.SCALAR)
    else:
        tensor = known.get(target.name) or Tensor(target.name, (ENTRY,), Role.STATE)
    term = Term(value.body, value.over) if isinstance(value, Sum) else Term(value)
    return Equation(tensor, (term,))

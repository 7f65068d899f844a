"""What one kernel computes: an equation, and the maps after it over the same entries.

A map is computed where the entry before it is stored, if it reads what the kernel writes at that
entry alone: no thread then waits for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy
from sympy import Expr

from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import accesses
from bpgen.ir.program import Contract, Step
from bpgen.ir.tensor import Role, Tensor
from bpgen.targets.cupy.memory import Memory


@dataclass(frozen=True, slots=True)
class Entrywise:
    """`out[I] = body`, or `+=`."""

    out: Tensor
    body: Expr
    accumulate: bool


@dataclass(frozen=True, slots=True)
class Total:
    """`out[I] = Σ_over body + plain`, or `+=`; `factors` if the body is a product of two."""

    out: Tensor
    term: Term
    op: Op
    plain: Expr
    accumulate: bool
    factors: tuple[Expr, ...] = ()
    scale: Expr = sympy.S.One


Part = Entrywise | Total


@dataclass(frozen=True, slots=True)
class Member:
    """A part, and the equation it stands under, with `sign` between its sides."""

    part: Part
    equation: Equation
    sign: str


def parts_of(step: Step, memory: Memory) -> tuple[tuple[Part, tuple[Term, ...]], ...]:
    """Return what computes an equation, each with the terms it adds: one sum each.

    The last one adds all that is not summed.
    """
    equation = step.equation
    others = tuple(t for t in equation.terms if not t.over)
    plain = memory.resolved(sympy.Add(*(t.body for t in others)))
    sums = [t for t in equation.terms if t.over]
    if not sums:
        return ((Entrywise(equation.out, plain, step.adds), others),)
    found = []
    for place, term in enumerate(sums):
        product = next((s for s in step.statements if _is_of(s, term)), None)
        factors, scale = (), sympy.S.One
        if isinstance(product, Contract):
            factors, scale = tuple(map(memory.resolved, product.factors)), product.scale
        is_last = term is sums[-1]
        total = Total(
            equation.out,
            Term(memory.resolved(term.body), term.over),
            equation.op,
            plain if is_last else sympy.S.Zero,
            step.adds or place > 0,
            factors,
            scale,
        )
        found.append((total, (term, *others) if is_last else (term,)))
    return tuple(found)


def _is_of(statement: object, term: Term) -> bool:
    """Whether a statement is the product of two that computes a term."""
    return (
        isinstance(statement, Contract)
        and len(statement.factors) == 2
        and statement.over == term.over
        and statement.scale * sympy.Mul(*statement.factors) == term.body
    )


def bodies(part: Part) -> tuple[Expr, ...]:
    """Return the formulas of a part."""
    return (part.term.body, part.plain) if isinstance(part, Total) else (part.body,)


def joins(group: Sequence[Part], part: Part, memory: Memory) -> bool:
    """Whether `part` can be computed where the results of `group` are stored."""
    head = group[0]
    if not isinstance(part, Entrywise) or part.out.indices != head.out.indices:
        return False
    if (part.out.role is Role.SCALAR) != (head.out.role is Role.SCALAR):
        return False
    written = {memory.root(p.out.name): p.out for p in group}
    own = memory.root(part.out.name)
    for read in accesses(part.body):
        out = written.get(memory.root(read.name))
        if out is not None and read != out.canonical:
            return False
    if own in written:
        return written[own] == part.out
    for before in group:
        summed = accesses(before.term.body) if isinstance(before, Total) else ()
        if any(memory.root(a.name) == own for a in summed):
            return False
        body = before.plain if isinstance(before, Total) else before.body
        reads = [a for a in accesses(body) if memory.root(a.name) == own]
        if any(a != part.out.canonical for a in reads):
            return False
    return True

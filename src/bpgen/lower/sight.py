"""Which tensors are memory, and which are entries of others: who reads one of these reads those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from sympy import Expr

from bpgen.ir.expr import Access, access, accesses
from bpgen.ir.program import Program, Step, View, steps_of
from bpgen.ir.tensor import KEPT
from bpgen.lower.lives import functions_of, is_view, results_of


@dataclass(frozen=True, slots=True)
class Sight:
    """The views of a program by their names; those that are `shown` are written, too."""

    views: Mapping[str, View]
    shown: frozenset[str] = frozenset()

    def reads(self, step: Step) -> frozenset[Access]:
        """Return the entries of memory that a step reads."""
        found = (accesses(seen(a, self.views)) for a in step.equation.accesses())
        return frozenset[Access]().union(*found)

    def is_view(self, step: Step) -> bool:
        """Whether a step writes nothing."""
        name = step.equation.out.name
        return self.views.get(name) == step.statements[0] and name not in self.shown


def seen(expr: Expr, views: Mapping[str, View]) -> Expr:
    """Return a formula that reads, for the entries of a view, those that it sees."""
    if not any(a.name in views for a in accesses(expr)):
        return expr
    args = [seen(a, views) for a in expr.args]
    if not isinstance(expr, Access):
        return cast("Expr", expr.func(*args))
    if expr.name not in views:
        return access(expr.name, args[1:])
    view = views[expr.name]
    places = dict(zip(view.out.indices, args[1:], strict=True))
    return seen(view.read.xreplace(places), views)


def rebound(program: Program) -> Sight:
    """Return what is no buffer where an array can be seen under other indices, as in numpy."""
    steps = (s for parts in functions_of(program).values() for s in steps_of(parts))
    found = {s.equation.out.name: s.statements[0] for s in steps if is_view(s)}
    return Sight({name: view for name, view in found.items() if isinstance(view, View)})


def spelled(program: Program) -> Sight:
    """Return what is no buffer where an entry is found by arithmetic on indices, as in a kernel.

    That is each view, if all functions that define it agree, and no result.
    """
    found: dict[str, View] = {}
    refused = set(results_of(program))
    for step in (s for parts in functions_of(program).values() for s in steps_of(parts)):
        out, (statement, *_) = step.equation.out, step.statements
        if isinstance(statement, View) and found.get(out.name, statement) == statement:
            found[out.name] = statement
        else:
            refused.add(out.name)
        if out.role in KEPT:
            refused.add(out.name)
    views = {name: view for name, view in found.items() if name not in refused}
    return Sight(views, frozenset(program.network.outputs.values()) & views.keys())

"""From equations in order to the parts of a function: what can be done before a loop is.

In a loop over t, a sum that reads nothing of the loop is computed for all t at once, by one large
product before the loop instead of many small ones in it; inside, the rest is added.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import sympy
from sympy import Expr

from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Pad, accesses
from bpgen.ir.index import Index
from bpgen.ir.order import Loop, ordered
from bpgen.ir.program import Part, Turns
from bpgen.lower.statements import is_view, step


def parts(equations: Iterable[Equation]) -> tuple[Part, ...]:
    """Return the steps and loops that compute `equations`, in order."""
    found: list[Part] = []
    for group in ordered(equations):
        found += _Turns().of(group) if isinstance(group, Loop) else [step(group)]
    return tuple(found)


@dataclass(slots=True)
class _Turns:
    """One outermost loop: what is left of each equation after its part before the loop."""

    left: dict[str, Equation] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)

    def of(self, loop: Loop, around: tuple[Index, ...] = ()) -> list[Part]:
        """Return what is done before `loop`, and the loop."""
        before: list[Part] = []
        inside = frozenset(e.out.name for e in loop.equations())
        for equation in loop.equations():
            before += self._before(equation, inside, around)
        within: list[Part] = []
        for group in loop.body:
            if isinstance(group, Loop):
                within += self.of(group, (*around, loop.index))
            elif group.out.name not in self.seen:
                now = self.left.get(group.out.name, group)
                adds = now.out.name in self.begun
                within.append(step(now, (*around, loop.index), adds=adds))
        return [*before, Turns(loop.index, loop.reverse, tuple(within))]

    def _before(
        self, equation: Equation, inside: frozenset[str], around: tuple[Index, ...]
    ) -> list[Part]:
        """Return what of `equation` is done before the loop: all of a view, sums free of it."""
        name = equation.out.name
        now = self.left.get(name, equation)
        if name in self.seen:
            return []
        if is_view(now):
            self.seen.add(name)
            return [step(now)]
        free, bound = _parted(now, inside)
        if not free:
            return []
        first = step(replace(now, terms=free), around, adds=name in self.begun)
        self.left[name] = replace(now, terms=bound)
        self.begun.add(name)
        return [first]


def _parted(
    equation: Equation, inside: frozenset[str]
) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """Split the terms into those that read nothing of a loop, if there is a sum, and the others."""
    terms = [t for term in equation.terms for t in _split(term, inside)]
    free = tuple(t for t in terms if _is_free(t.body, inside))
    if equation.op is not Op.SUM or not any(t.over for t in free):
        return (), equation.terms
    return free, tuple(t for t in terms if t not in free)


def _split(term: Term, inside: frozenset[str]) -> tuple[Term, ...]:
    """Split a plain sum of entries into what a loop computes, and what it does not."""
    if term.over or isinstance(term.body, Pad):
        return (term,)
    addends = sympy.Add.make_args(term.body)
    free = [a for a in addends if _is_free(a, inside)]
    bound = [a for a in addends if a not in free]
    return tuple(Term(sympy.Add(*found)) for found in (free, bound) if found)


def _is_free(body: Expr, inside: frozenset[str]) -> bool:
    return inside.isdisjoint(a.name for a in accesses(body))

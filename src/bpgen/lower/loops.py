"""From equations in order to the parts of a function: what can be done before a loop is.

In a loop over t, a sum that reads nothing of the loop is computed for all t at once, by one large
product before the loop instead of many small ones in it; inside, the rest is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import sympy
from sympy import Expr

from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Digit, Pad, accesses
from bpgen.ir.index import Index
from bpgen.ir.order import Loop, ordered
from bpgen.ir.program import Map, Part, Step, Turns, View
from bpgen.ir.reshape import is_rebound
from bpgen.ir.tensor import Tensor
from bpgen.lower.statements import step


def parts(equations: Iterable[Equation], tensors: Mapping[str, Tensor]) -> tuple[Part, ...]:
    """Return the steps and loops that compute `equations`, in order."""
    found: list[Part] = []
    for group in ordered(equations):
        if isinstance(group, Loop):
            found += _Turns(tensors).of(group)
        else:
            found.append(step(group, tensors))
    return tuple(found)


@dataclass(slots=True)
class _Turns:
    """One outermost loop: what is left of each equation after its part before the loop."""

    tensors: Mapping[str, Tensor]
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
                within.append(self._within(group, (*around, loop.index)))
        return [*before, Turns(loop.index, loop.reverse, tuple(within))]

    def _before(
        self, equation: Equation, inside: frozenset[str], around: tuple[Index, ...]
    ) -> list[Part]:
        """Return what of `equation` is done before the loop: all of a view, sums free of it.

        A view is of memory, whenever that is written.
        """
        name = equation.out.name
        now = self.left.get(name, equation)
        if name in self.seen:
            return []
        whole = step(now, self.tensors)
        if self._is_seen(whole):
            self.seen.add(name)
            return [whole]
        free, bound = _parted(now, inside)
        if not free:
            return []
        first = step(replace(now, terms=free), self.tensors, around, adds=name in self.begun)
        self.left[name] = replace(now, terms=bound)
        self.begun.add(name)
        return [first]

    def _is_seen(self, whole: Step) -> bool:
        """Whether a step is a view of a buffer; an array in parts cannot be seen as joined."""
        view = whole.statements[0]
        if not isinstance(view, View) or not is_rebound(view):
            return False
        joins = any(at.has(Digit) for at in view.read.indices)
        return not (joins and view.read.name in self.seen)

    def _within(self, equation: Equation, around: tuple[Index, ...]) -> Step:
        """Return the step of one turn; what is no view of a buffer is copied."""
        now = self.left.get(equation.out.name, equation)
        found = step(now, self.tensors, around, adds=now.out.name in self.begun)
        view = found.statements[0]
        if isinstance(view, View) and is_rebound(view):
            return replace(found, statements=(Map(view.out, view.read),))
        return found


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

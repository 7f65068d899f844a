"""`bp.repeat`: a block of layers, written once and run many times, each time with new parameters.

The block is traced once. What depends on its input, or on parameters and noise of its own, then
gets the index of the block in front of its axes: `W[d,h]` becomes `W[b,d,h]`. So blocks are a
recurrence over b, and are derived, printed and emitted once, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from sympy import Basic, Expr

from bpgen.declare.define import define
from bpgen.declare.given import checked_extent, checked_name, fresh_index
from bpgen.declare.recurrence import enter
from bpgen.declare.state import sources, updated
from bpgen.declare.variable import Auto, Head, Name, Variable, here, provisional, reachable
from bpgen.errors import RecurrenceError, ShapeError
from bpgen.ir.equation import Equation, Term
from bpgen.ir.expr import Access
from bpgen.ir.index import Index
from bpgen.ir.tensor import KEPT, Role, Tensor

# What each block has for itself.
_OWN = KEPT | {Role.PARAMETER, Role.NOISE}
Block = Callable[[Variable], Variable]


def repeat(block: Block, times: int, x: Variable, *, name: str | None = None) -> Variable:
    """Apply `block` to `x`, then to the result, `times` times, each with parameters of its own.

    Formula:
        before[b,…] = out[b-1,…], and x[…] for b = 0
        out[b,…]    = block(before[b,…])

    Shapes: x[…] -> out[B-1,…], the axes of x; a parameter W[d,h] of the block is W[b,d,h], and
    starts as B blocks would. With `name` the parameters are `name_W`.
    Errors: ShapeError if the block changes the axes; RecurrenceError if it returns no tensor, or
    none that depends on its input; ExtentError if `times` is not a positive integer.
    """
    checked_extent("bp.repeat", times)
    stem = checked_name(name) if name else "block"
    where = here()
    inner = Variable(stem, Tensor(provisional(stem), x.indices, Role.ACTIVATION, where=where))
    result = block(inner)
    _check_result(result, inner)
    traced = [v for v in _reached(result) if v.serial >= inner.serial]
    lifted = _dependent(traced, inner)
    b = fresh_index(times, "br", *_indices(traced))
    copies = _Lifting(b, name).copies(lifted)
    before, out = copies[inner.head], copies[result.head]
    before.wanted = Auto(f"{stem}_before", always=False)
    if isinstance(out.wanted, Auto):
        out.wanted = Auto(stem, always=False)
    enter(before, out, 0, -1, x[x.indices])
    at = (b.extent - 1, *x.indices)
    return define(Auto(f"{stem}_last", always=False), x.indices, Access(out.head, *at))


def _check_result(result: object, inner: Variable) -> None:
    if not isinstance(result, Variable) or inner not in reachable([result]) or result is inner:
        raise RecurrenceError(
            "a repeated block does not compute a tensor from its input",
            where=here(),
            disagree=f"it returns {result!r}",
            rule="Each block is given what the one before it returns.",
            way_out="Return a tensor that depends on the argument.",
        )
    if [i.extent for i in result.indices] != [i.extent for i in inner.indices]:
        sizes = ([i.extent.value for i in v.indices] for v in (inner, result))
        if len({tuple(s) for s in sizes}) > 1:
            raise ShapeError(
                "a repeated block changes the axes of its input",
                where=here(),
                disagree=f"it is given {inner!r} and returns {result!r}",
                rule="The next block takes what this one returns, so both have the same axes.",
                way_out="Bring the result back to the size of the input inside the block.",
            )


def _reached(result: Variable) -> tuple[Variable, ...]:
    """Return what the block computes, and what its states change by."""
    states = updated([result])
    return reachable([result, *states, *(source for s in states for source in sources(s))])


def _dependent(traced: Iterable[Variable], inner: Variable) -> list[Variable]:
    """Return the variables that differ from block to block, in the order of creation."""
    found = {v.head for v in traced if v.tensor.role in _OWN} | {inner.head}
    grows = True
    while grows:
        more = {v.head for v in traced for p in v.parents() if p.head in found} - found
        found |= more
        grows = bool(more)
    return [v for v in traced if v.head in found]


def _indices(variables: Iterable[Variable]) -> set[Index]:
    """Return every index that the variables have or sum over."""
    found: set[Index] = set()
    for variable in variables:
        found |= set(variable.indices)
        if variable.equation is not None:
            found |= {i for t in variable.equation.terms for i in t.over}
    return found


class _Lifting:
    """Copies of variables with the index of the block in front of their axes."""

    def __init__(self, index: Index, name: str | None) -> None:
        self._index, self._name = index, name
        self._copies: dict[Head, Variable] = {}

    def copies(self, variables: Iterable[Variable]) -> dict[Head, Variable]:
        """Return the copies by the symbols of the originals."""
        given = list(variables)
        for variable in given:
            variable.lifted = self._copies[variable.head] = self._blank(variable)
        for variable in given:
            copy = self._copies[variable.head]
            if isinstance(copy.wanted, Auto):
                of = tuple(self._copies.get(v.head, v) for v in copy.wanted.of)
                copy.wanted = replace(copy.wanted, of=of)
            copy.beside = tuple(self._copies.get(v.head, v) for v in variable.beside)
            if variable.equation is not None:
                copy.equation = self._equation(variable.equation, copy.tensor)
            if variable.update is not None:
                copy.update = self._equation(variable.update, copy.tensor)
        return self._copies

    def _blank(self, variable: Variable) -> Variable:
        """Return a copy without its equation; a parameter starts as one of each block would."""
        own = variable.tensor
        init = own.init and replace(own.init, stacked=own.init.stacked + 1)
        stem = own.name.rpartition("·")[0]
        axes = (self._index, *own.indices)
        tensor = replace(own, name=provisional(stem), indices=axes, init=init)
        return Variable(self._called(variable), tensor)

    def _called(self, variable: Variable) -> Name:
        wanted = variable.wanted
        if self._name is None or variable.tensor.role not in KEPT | {Role.PARAMETER}:
            return wanted
        if isinstance(wanted, Auto):
            return Auto(f"{self._name}_{wanted.stem}", always=False, of=wanted.of)
        return f"{self._name}_{wanted}"

    def _equation(self, equation: Equation, out: Tensor) -> Equation:
        predict = equation.predict and tuple(map(self._term, equation.predict))
        terms = tuple(map(self._term, equation.terms))
        return replace(equation, out=out, terms=terms, predict=predict)

    def _term(self, term: Term) -> Term:
        return Term(self._formula(term.body), term.over)

    def _formula(self, expr: Basic) -> Expr:
        if not expr.args:
            return expr
        args = [self._formula(a) for a in expr.args]
        if isinstance(expr, Access) and expr.head in self._copies:
            return Access(self._copies[expr.head].head, self._index, *args[1:])
        return expr.func(*args)

"""Statements about tensors whose axes lie in another order in memory than they are declared in.

Formulas stay as they are declared. In each statement that names such a tensor one of its axes moves
to another place: `z[n,t,k]` is spelled as `z[t,n,k]` where the turns come first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sympy import Basic

from bpgen.ir.expr import Access, accesses
from bpgen.ir.index import Index
from bpgen.ir.program import (
    Blocks,
    Carry,
    Contract,
    Fold,
    Gather,
    Map,
    Part,
    Place,
    Program,
    Reduce,
    RowBlocks,
    Single,
    Statement,
    Step,
    Turns,
    View,
)
from bpgen.ir.tensor import Move, Tensor

Whole = Map | Reduce | Contract | Fold | Gather | View | Place | Carry


def reordered(program: Program, moves: Mapping[str, Move]) -> Program:
    """Return `program` with the axes of some tensors moved."""
    if not moves:
        return program
    changed = program.changed(_Reorder(moves).parts)
    return replace(changed, moves={**program.moves, **moves})


def names_of(statement: Statement) -> Iterator[str]:
    """Yield the tensors that a statement writes and reads."""
    yield unwrapped(statement).out.name
    for formula in formulas_of(statement):
        yield from (a.name for a in accesses(formula))


def unwrapped(statement: Statement) -> Whole:
    """Return a statement without the values of indices that it is for."""
    while isinstance(statement, Single):
        statement = statement.statement
    return statement


def formulas_of(statement: Statement) -> tuple[Basic, ...]:
    """Return what a statement reads."""
    match unwrapped(statement):
        case Map(body=body) | Reduce(body=body):
            return (body,)
        case Contract(factors=factors):
            return factors
        case Fold(kernel=kernel, entry=entry):
            return (kernel, entry)
        case View(read=read) | Gather(read=read):
            return (read,)
        case Place(pad=pad):
            return (pad,)
        case Carry(entry=entry, value=value):
            return (entry, value)


class _Reorder:
    """Rewrite every statement that names a tensor of `moves`."""

    def __init__(self, moves: Mapping[str, Move]) -> None:
        self._moves = moves

    def parts(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """Return `parts` with every statement rewritten."""
        return tuple(map(self._part, parts))

    def _part(self, part: Part) -> Part:
        match part:
            case Step():
                return self._step(part)
            case Blocks():
                return replace(part, parts=tuple(map(self._step, part.parts)))
            case Turns():
                return replace(part, parts=self.parts(part.parts))
            case RowBlocks():
                raise AssertionError("blocks of rows come after the order of axes")

    def _step(self, step: Step) -> Step:
        return replace(step, statements=tuple(map(self._statement, step.statements)))

    def _statement(self, statement: Statement) -> Statement:
        match statement:
            case Single():
                inner = self._statement(statement.statement)
                assert isinstance(inner, Map | Reduce | Contract | Single)
                return replace(statement, statement=inner)
            case Map():
                body = self._formula(statement.body)
                return replace(statement, out=self._tensor(statement.out), body=body)
            case Reduce():
                out, body = self._tensor(statement.out), self._formula(statement.body)
                return replace(statement, out=out, body=body, over=self._over(statement.over, body))
            case Contract():
                factors = tuple(map(self._formula, statement.factors))
                out, over = self._tensor(statement.out), self._over(statement.over, *factors)
                return replace(statement, out=out, factors=factors, over=over)
            case Fold():
                out, kernel = self._tensor(statement.out), self._formula(statement.kernel)
                entry = self._formula(statement.entry)
                return replace(statement, out=out, kernel=kernel, entry=entry)
            case Place():
                return self._place(statement)
            case View():
                return self._view(statement)
            case Gather():
                return Gather(self._tensor(statement.out), self._formula(statement.read))
            case Carry():
                entry = self._formula(statement.entry)
                value = self._formula(statement.value)
                return replace(statement, out=self._tensor(statement.out), entry=entry, value=value)

    def _over(self, over: tuple[Index, ...], *formulas: Basic) -> tuple[Index, ...]:
        """Return the indices of a sum over `formulas` in the order in which memory has them."""
        entries = {e for f in formulas for e in accesses(f) if e.name in self._moves}
        for entry in sorted(entries, key=lambda e: (-len(e.indices), str(e))):
            if {*over} <= {*entry.indices}:
                return tuple(sorted(over, key=entry.indices.index))
        return over

    def _place(self, place: Place) -> Place:
        parts = place.parts
        if place.out.name in self._moves:
            parts = self._moves[place.out.name].of(parts)
        return replace(
            place, out=self._tensor(place.out), pad=self._formula(place.pad), parts=parts
        )

    def _view(self, view: View) -> Statement:
        """Return the view; between memory of both kinds there is none, and entries are copied."""
        out, read = self._tensor(view.out), self._formula(view.read)
        same = self._moves.get(view.out.name) == self._moves.get(view.read.name)
        return View(out, read) if same else Map(out, read)

    def _tensor(self, tensor: Tensor) -> Tensor:
        move = self._moves.get(tensor.name)
        return tensor if move is None else tensor.moved(move)

    def _formula(self, expr: Basic) -> Basic:
        if not expr.args or not expr.has(Access):
            return expr
        args = [self._formula(a) for a in expr.args]
        if isinstance(expr, Access) and expr.name in self._moves:
            head, *at = args
            args = [head, *self._moves[expr.name].of(at)]
        return expr.func(*args)

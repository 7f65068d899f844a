"""A program for threads that share a batch: each has some rows, and they meet at some sums.

A statement is about the rows at hand, which N counts; in its formula stands the number of all rows,
BATCH, where the equation says N. With one thread the two are equal, and nobody is met.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from sympy import Expr

from bpgen.ir.index import BATCH, Extent
from bpgen.ir.program import (
    Blocks,
    Carry,
    Contract,
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
    steps_of,
)
from bpgen.lower.share import Shares, reads, rows_of, weighed


def with_meetings(program: Program, shares: Shares) -> Program:
    """Return `program` as each of several threads trains by it; one alone predicts."""
    trains = program.changed(_Together(program, shares).function)
    nothing = Shares(frozenset(), frozenset(), frozenset())
    alone = program.changed(_Together(program, nothing).function)
    return replace(trains, predict=alone.predict, score=alone.score, second=alone.second)


@dataclass(frozen=True, slots=True)
class _Together:
    """The steps of a program, about the rows of one part of a batch."""

    program: Program
    shares: Shares

    def function(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """Return the parts of one function as each thread runs it."""
        return tuple(self._part(p, parts) for p in parts)

    def _part(self, part: Part, function: tuple[Part, ...]) -> Part:
        match part:
            case Step():
                return self._step(part, function)
            case Turns():
                return replace(part, parts=tuple(self._part(p, function) for p in part.parts))
            case RowBlocks():
                steps = tuple(self._step(step, function) for step in part.parts)
                return replace(part, parts=steps)
            case Blocks():
                raise AssertionError("only an update runs by blocks")

    def _step(self, step: Step, function: tuple[Part, ...]) -> Step:
        name = step.equation.out.name
        change = self._share if name in self.shares.summed else self._of_rows
        meets = name in self.shares.met and _is_last(step, function)
        return replace(step, statements=tuple(map(change, step.statements)), meets=meets)

    def _of_rows(self, statement: Statement) -> Statement:
        """Return a statement whose formulas count the rows of the whole batch."""
        if isinstance(statement, Single):
            inner: Any = self._of_rows(statement.statement)
            return replace(statement, statement=inner)
        whole, changes = {self._rows: BATCH}, dict[str, Any]()
        for field in fields(statement):
            match getattr(statement, field.name):
                case Expr() as formula:
                    changes[field.name] = formula.xreplace(whole)
                case (Expr(), *_) as formulas:
                    changes[field.name] = tuple(f.xreplace(whole) for f in formulas)
        return replace(statement, **changes)

    def _share(self, statement: Statement) -> Statement:
        """Return a statement that computes a share: what is none counts by its rows."""
        if isinstance(statement, Single):
            inner: Any = self._share(statement.statement)
            return replace(statement, statement=inner)
        changed, weight = self._of_rows(statement), self._rows / BATCH
        match changed:
            case Reduce(over=over) | Contract(over=over) if rows_of(over):
                return changed
            case Map(body=body) | Reduce(body=body):
                return replace(changed, body=weighed(body, self.shares.open, weight))
            case Contract(factors=factors, scale=scale):
                if not any(reads(f, self.shares.open) for f in factors):
                    return replace(changed, scale=scale * weight)
                return replace(changed, factors=tuple(map(self._factor, factors)))
            case Place(pad=entry, scale=scale) | Carry(entry=entry, scale=scale):
                is_share = reads(entry, self.shares.open)
                return changed if is_share else replace(changed, scale=scale * weight)
            case _:
                return changed

    def _factor(self, factor: Expr) -> Expr:
        """Return a factor of a product that counts as a share by another one, or by itself."""
        shares = self.shares.open
        return weighed(factor, shares, self._rows / BATCH) if reads(factor, shares) else factor

    @property
    def _rows(self) -> Extent:
        (rows,) = (e for e in self.program.network.extents() if e.value is None)
        return rows


def _is_last(step: Step, function: tuple[Part, ...]) -> bool:
    """Whether no later step of a function adds to what `step` writes."""
    name, steps = step.equation.out.name, steps_of(function)
    later = [s for s in steps[steps.index(step) + 1 :] if s.equation.out.name == name]
    return not (later and later[0].adds)

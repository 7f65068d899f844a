"""A program for threads that share a batch: each has some rows, and they meet at some sums.

A statement is about the rows at hand, which N counts; in its formula stands the number of all rows,
BATCH, where the equation says N. With one thread the two are equal, and nobody is met.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import sympy
from sympy import Expr

from bpgen.ir.expr import Access, accesses
from bpgen.ir.index import BATCH, Extent, Index
from bpgen.ir.program import (
    Carry,
    Contract,
    Fold,
    Map,
    Part,
    Place,
    Program,
    Reduce,
    Single,
    Statement,
    Step,
    Turns,
    steps_of,
)
from bpgen.lower.share import Shares, rows_of


def with_meetings(program: Program, shares: Shares) -> Program:
    """Return `program` as each of several threads trains by it; one alone predicts."""
    (rows,) = (e for e in program.network.extents() if e.value is None)
    nothing = Shares(frozenset(), frozenset(), frozenset())
    trains, alone = (
        program.changed(lambda parts, of=of: _Function(of, rows, parts).changed(parts))
        for of in (shares, nothing)
    )
    return replace(trains, predict=alone.predict, score=alone.score, second=alone.second)


@dataclass(frozen=True, slots=True)
class _Function:
    """One function; `parts` are all of it."""

    shares: Shares
    rows: Extent
    parts: tuple[Part, ...]

    def changed(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """Return `parts` with steps about the rows of one thread."""
        return tuple(
            self._step(p) if isinstance(p, Step) else replace(p, parts=self.changed(p.parts))
            for p in parts
        )

    def _step(self, step: Step) -> Step:
        is_sum = step.equation.out.name in self.shares.summed
        statements = tuple(self._statement(s, is_sum=is_sum) for s in step.statements)
        return replace(step, statements=statements, meets=self._meets(step))

    def _meets(self, step: Step) -> bool:
        """Whether a sum is complete behind `step`, and must be that of the whole batch."""
        name = step.equation.out.name
        steps = steps_of(self.parts)
        later = [s for s in steps[steps.index(step) + 1 :] if s.equation.out.name == name]
        return name in self.shares.met and not (later and later[0].adds)

    def _statement(self, statement: Statement, *, is_sum: bool) -> Statement:
        """Return a statement whose formulas count all rows; what is no share counts by its rows."""
        if isinstance(statement, Single):
            inner: Any = self._statement(statement.statement, is_sum=is_sum)
            return replace(statement, statement=inner)
        changes: dict[str, Any] = {}
        for field in fields(statement):
            match getattr(statement, field.name):
                case Expr() as formula:
                    changes[field.name] = formula.xreplace({self.rows: BATCH})
                case (Expr(), *_) as formulas:
                    changes[field.name] = tuple(f.xreplace({self.rows: BATCH}) for f in formulas)
        changed = replace(statement, **changes)
        return self._weighed(changed) if is_sum else changed

    def _weighed(self, statement: Statement) -> Statement:
        match statement:
            case Map(body=body):
                return replace(statement, body=self._weighed_sum(body))
            case Reduce(body=body, over=over) if not rows_of(over):
                return replace(statement, body=self._weighed_sum(body))
            case Contract(factors=read, over=over, scale=scale) if not rows_of(over):
                return replace(statement, scale=scale * self._weight(*read))
            case Fold(kernel=kernel, entry=entry, over=over, scale=scale) if not rows_of(over):
                return replace(statement, scale=scale * self._weight(kernel, entry))
            case Place(pad=read, scale=scale) | Carry(entry=read, scale=scale):
                return replace(statement, scale=scale * self._weight(read))
            case _:
                return statement

    def _weighed_sum(self, body: Expr) -> Expr:
        return sympy.Add(*(a * self._weight(a) for a in sympy.Add.make_args(body)))

    def _weight(self, *read: Expr) -> Expr:
        """Return by what a product counts: as it is, if a factor is a share; else by its rows."""
        names = {a.name for factor in read for a in accesses(factor)}
        return self.rows / BATCH if names.isdisjoint(self.shares.open) else sympy.S.One

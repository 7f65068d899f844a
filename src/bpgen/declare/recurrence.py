"""`bp.recurrence`: a tensor whose formula reads its own entries at the index before.

    h = bp.recurrence("h", (n, t, k), over=t)
    z = bp.define("z", (n, t, k), x[n, t, k] + bp.sum(h[n, t - 1, j] * U[j, k], over=j))
    h.becomes(sympy.tanh(z[n, t, k]))

The entry before is a tensor of its own, `h_before[n,t,k]`: `h[n,t-1,k]`, and the start where there
is none. What is summed over all t, such as ∂L/∂U, is then a plain product with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import sympy
from sympy import Expr

from bpgen.declare.define import define
from bpgen.declare.option import decimal
from bpgen.declare.variable import Auto, Name, Variable, check_once, here, provisional
from bpgen.errors import IndexUseError, RecurrenceError, ShapeError
from bpgen.ir.equation import Equation, Term
from bpgen.ir.expr import Access, Pad
from bpgen.ir.index import Index
from bpgen.ir.tensor import Role, Tensor

Start = float | Variable


class Recurrence(Variable):
    """A state: declared first, read at the index before, and given its formula at last."""

    def __init__(self, name: Name, indices: tuple[Index, ...], over: Index, start: Start) -> None:
        """Hold a state over `indices` that starts at `start` and runs along `over`."""
        stem = name if isinstance(name, str) else name.plain
        super().__init__(name, Tensor(provisional(stem), indices, Role.ACTIVATION, where=here()))
        self._axis = indices.index(over)
        self._start = start
        self._by = 0
        self._neighbour: Variable | None = None

    def __getitem__(self, indices: Any) -> Any:
        """Return an entry; at `t - 1` or `t + 1` it is the state before, or the start."""
        given = indices if isinstance(indices, tuple) else (indices,)
        if len(given) != len(self.indices):
            return super().__getitem__(indices)
        base, by = _shifted(sympy.sympify(given[self._axis]))
        if by not in {-1, 1} or base != self.indices[self._axis]:
            return super().__getitem__(indices)
        at = (*given[: self._axis], base, *given[self._axis + 1 :])
        return self._before(by)[at]

    def becomes(self, formula: Any) -> Variable:
        """Give the state its formula: `h.becomes(sympy.tanh(z[n, t, k]))`; return the state.

        Errors: RecurrenceError if it has one; IndexUseError, FormulaError as for `bp.define`.
        """
        if self.equation is not None:
            raise RecurrenceError(
                f"`{self.label}` has two formulas",
                where=here(),
                disagree=f"the first one is at {self.equation.where}",
                way_out="Keep one of them.",
            )
        written = define(self.wanted, self.indices, formula)
        assert written.equation is not None
        self.equation = replace(written.equation, out=self.tensor)
        return self

    def _before(self, by: int) -> Variable:
        """Return the tensor of the states before; make it when it is first read."""
        if self._neighbour is None:
            self._by = by
            word = "before" if by < 0 else "after"
            stem = f"{{}}_{word}" if isinstance(self.wanted, Auto) else f"{self.wanted}_{word}"
            label = Auto(stem, always=False, of=(self,))
            self._neighbour = entered(label, self, self._axis, by, self._value())
        if by != self._by:
            over = self.indices[self._axis]
            raise RecurrenceError(
                f"the recurrence `{self.label}` reads the future",
                where=here(),
                disagree=f"it is read at `{over} - 1` and at `{over} + 1`",
                rule=f"A recurrence runs upwards and reads `{over} - 1`, or downwards and reads "
                f"`{over} + 1`.",
                way_out="Use two recurrences, one for each direction.",
            )
        return self._neighbour

    def _value(self) -> Expr:
        """Return what stands before the first state, as a formula."""
        start = self._start
        if not isinstance(start, Variable):
            return decimal(start)
        axes = [i for k, i in enumerate(self.indices) if k != self._axis]
        own = axes[len(axes) - len(start.indices) :]
        sizes = [i.extent.value for i in own]
        if sizes != [i.extent.value for i in start.indices]:
            raise ShapeError(
                f"`{start.label}` cannot start `{self.label}`",
                where=here(),
                disagree=f"it is {start!r}; the state at one `{self.indices[self._axis]}` is "
                f"[{','.join(map(str, axes))}]",
                rule="A start has the axes of the state without the one it runs over.",
                way_out="Give a number, or a tensor of that shape.",
            )
        return start[tuple(own)]


def recurrence(
    name: Name, indices: Iterable[Index], *, over: Index, start: Start = 0
) -> Recurrence:
    """Declare a tensor whose formula, given later, reads its own entries at the index before.

    Formula:
        name[…,t,…] = formula, which reads name[…,t-1,…], or name[…,t+1,…] to run backwards
        name[…,-1,…] = start

    Shapes: `indices` are the axes, `over` one of them; `start` is a number, or a tensor over the
    other axes (or the last of them).
    Errors: IndexUseError if `over` is no axis; ShapeError if `start` does not fit.
    """
    axes = tuple(indices)
    stem = name if isinstance(name, str) else name.plain
    check_once(stem, axes)
    if over not in axes:
        raise IndexUseError(
            f"`{stem}` cannot run over `{over}`",
            where=here(),
            disagree=f"it is declared as {stem}[{','.join(map(str, axes))}]",
            rule="A recurrence runs over one of its own axes.",
            way_out=f"Take over={axes[-1]}, or add the axis.",
        )
    return Recurrence(name, axes, over, start)


def entered(label: Name, state: Variable, axis: int, by: int, start: Expr) -> Variable:
    """Return the tensor that holds the entries of `state` shifted by `by`, and `start` outside."""
    before = Variable(
        label, Tensor(provisional(_plain(label)), state.indices, Role.ACTIVATION, where=here())
    )
    enter(before, state, axis, by, start)
    return before


def enter(before: Variable, state: Variable, axis: int, by: int, start: Expr) -> None:
    """Let `before` hold the entries of `state` shifted by `by` along `axis`."""
    at: list[Expr] = list(before.indices)
    at[axis] = at[axis] + by
    term = Term(Pad(Access(state.head, *at), start))
    before.equation = Equation(before.tensor, (term,), where=before.tensor.where)


def _plain(label: Name) -> str:
    return label if isinstance(label, str) else label.plain


def _shifted(at: Expr) -> tuple[Expr, int]:
    """Split `t - 1` into t and -1."""
    number, rest = at.as_coeff_Add()
    return (rest, int(number)) if isinstance(rest, Index) and number.is_Integer else (at, 0)

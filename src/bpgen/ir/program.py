"""A program: statements over named buffers, in order, each under the equation it computes.

Lowering decides what kind of statement computes a term; a target spells each kind. `out` is the
tensor that is written; `accumulate` says that it is added to what is there.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Expr

from bpgen.ir.derivation import Derivation
from bpgen.ir.equation import Equation, Op
from bpgen.ir.expr import Access, Pad
from bpgen.ir.index import Index
from bpgen.ir.network import Network
from bpgen.ir.optimizer import Optimizer
from bpgen.ir.tensor import GIVEN, Tensor


@dataclass(frozen=True, slots=True)
class Map:
    """Entry by entry: `out[I] = body`."""

    out: Tensor
    body: Expr
    accumulate: bool = False


@dataclass(frozen=True, slots=True)
class Reduce:
    """A sum, a maximum or the address of a maximum of one formula: `out[I] = Σ_over body`."""

    out: Tensor
    body: Expr
    over: tuple[Index, ...]
    op: Op = Op.SUM
    accumulate: bool = False


@dataclass(frozen=True, slots=True)
class Contract:
    """A sum of products, `out[I] = scale Σ_over Π factors`; each factor has its own indices."""

    out: Tensor
    factors: tuple[Expr, ...]
    over: tuple[Index, ...]
    scale: Expr
    accumulate: bool = False


@dataclass(frozen=True, slots=True)
class Gather:
    """Entries at addresses that are data: `out[n] = z[n, y[n]]`."""

    out: Tensor
    read: Access


@dataclass(frozen=True, slots=True)
class View:
    """The same entries under other indices: `out[n,d] = x[n,c,h,w]`; nothing is copied."""

    out: Tensor
    read: Access


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor laid into a larger one, or cut to a smaller: `out[I] = scale · x[I + shift]`.

    Each of `parts` is, for an axis of `out`, where it begins and ends there, and the shift. What no
    statement of the equation writes keeps the value it was made with.
    """

    out: Tensor
    pad: Pad
    scale: Expr
    parts: tuple[tuple[int, int, int], ...]
    accumulate: bool = False


Statement = Map | Reduce | Contract | Gather | View | Place


@dataclass(frozen=True, slots=True)
class Step:
    """One equation and the statements that compute it."""

    equation: Equation
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """What an emitted module does.

    `forward` computes the outputs, `loss` goes on to the loss, `backward` to the gradient of every
    parameter, `update` changes the parameters, `advance` the states. `predict` computes the outputs
    where that differs from `forward`, and `score` the loss from them; each is empty where training
    and prediction are the same.
    """

    network: Network
    derivation: Derivation
    forward: tuple[Step, ...]
    loss: tuple[Step, ...]
    backward: tuple[Step, ...]
    predict: tuple[Step, ...]
    score: tuple[Step, ...]
    update: tuple[Step, ...]
    optimizer: Optimizer
    advance: tuple[Step, ...] = ()

    def check(self) -> None:
        """Assert that every buffer is written before it is read, and only then added to."""
        start = {t.name for t in self.network.tensors.values() if t.role in GIVEN}
        self._check_order(start, self.forward + self.loss + self.backward)
        self._check_order(start, self.forward + self.loss + self.advance)
        self._check_order(start, self.predict + self.score)

    def _check_order(self, written: set[str], steps: tuple[Step, ...]) -> None:
        written = set(written)
        for step in steps:
            for read in step.equation.reads():
                assert read in written, (
                    f"{step.equation.out.name} reads {read} before it is written"
                )
            for place, statement in enumerate(step.statements):
                accumulate = getattr(statement, "accumulate", False)
                apart = isinstance(statement, Place)
                assert accumulate == (place > 0) or (apart and not accumulate), (
                    f"{statement} must {'add' if place else 'assign'}"
                )
            written.add(step.equation.out.name)

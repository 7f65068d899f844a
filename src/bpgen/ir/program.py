"""A program: statements over named buffers, in order, each under the equation it computes.

Lowering decides what kind of statement computes a term; a target spells each kind. `out` is the
tensor that is written; `accumulate` says that it is added to what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sympy
from sympy import Expr

from bpgen.ir.derivation import Derivation
from bpgen.ir.equation import Equation, Op
from bpgen.ir.expr import Access, Pad, indices_of
from bpgen.ir.index import Index
from bpgen.ir.network import Network
from bpgen.ir.optimizer import Optimizer
from bpgen.ir.tangent import Curvature
from bpgen.ir.tensor import GIVEN, Move, Tensor


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
class Fold:
    """Windows laid over each other: `out[h + u] += scale Σ_over kernel · entry`, for every h and u.

    `at` says for each position of `out` what it is in the indices of `entry` and of the windows.
    What is reached by none is 0.
    """

    out: Tensor
    kernel: Expr
    entry: Access
    over: tuple[Index, ...]
    at: tuple[tuple[Index, Expr], ...]
    scale: Expr

    @property
    def windows(self) -> tuple[Index, ...]:
        """Return the indices of the kernel that move a position."""
        moving = frozenset[Index]().union(*(indices_of(at) for _, at in self.at))
        return tuple(sorted(moving & indices_of(self.kernel), key=lambda i: str(i.name)))


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


@dataclass(frozen=True, slots=True)
class Carry:
    """What another turn has left: `out[t] = scale · entry`, which is shifted along `index`.

    Where there is no such turn, `value` stands instead of the entry.
    """

    out: Tensor
    entry: Access
    value: Expr
    index: Index
    accumulate: bool = False
    scale: Expr = sympy.S.One


@dataclass(frozen=True, slots=True)
class Single:
    """A statement for one value of an index of its result, `out[n,0] = …`, or of several."""

    index: Index
    at: Expr
    statement: Map | Reduce | Contract | Single


Statement = Map | Reduce | Contract | Fold | Gather | View | Place | Carry | Single


@dataclass(frozen=True, slots=True)
class Step:
    """One equation and the statements that compute it.

    `adds` says that other terms of the same tensor have been computed before, outside a loop;
    `meets` that threads, of which each has summed over its rows of a batch, add up what they have.
    `also` are equations that the same statements compute.
    """

    equation: Equation
    statements: tuple[Statement, ...]
    adds: bool = False
    meets: bool = False
    also: tuple[Equation, ...] = ()

    @property
    def equations(self) -> tuple[Equation, ...]:
        """Return all that the statements compute."""
        return (self.equation, *self.also)


@dataclass(frozen=True, slots=True)
class Whole:
    """A tensor in which others lie, one behind the other along its first axis, and then ones."""

    tensor: Tensor
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Turns:
    """Parts that are carried out in turn for each value of `index`, downwards if `reverse`."""

    index: Index
    reverse: bool
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Steps that write a long vector entry by entry, a block of `size` entries after the other."""

    parts: tuple[Step, ...]
    size: int


@dataclass(frozen=True, slots=True)
class RowBlocks:
    """Steps for one block of values of `index` after the other; a buffer over `block` holds one."""

    index: Index
    block: Index
    parts: tuple[Step, ...]


Part = Step | Turns | Blocks | RowBlocks


def steps_of(parts: Iterable[Part]) -> tuple[Step, ...]:
    """Return the steps of `parts`, those inside loops and blocks too, in order."""
    return tuple(s for p in parts for s in ((p,) if isinstance(p, Step) else steps_of(p.parts)))


@dataclass(frozen=True, slots=True)
class Bound:
    """The most bytes that a step of training may take, in float32, and for how many examples."""

    bytes: int
    batch: int


@dataclass(frozen=True, slots=True)
class Program:
    """What an emitted module does.

    `forward` computes the outputs, `loss` goes on to the loss, `backward` to the gradient of every
    parameter, `update` changes the parameters, `advance` the states. `predict` computes the outputs
    where that differs from `forward`, and `score` the loss from them; each is empty where training
    and prediction are the same. `second` goes on from `backward` to the product of the Hessian with
    a direction, if asked for. `again` names what `backward` computes a second time, which costs
    time and keeps the `bound` on memory. `in_turn` are tensors whose buffers lack the axis of a
    loop, since each turn writes them anew, or have one block of it; `moves` are axes that lie
    elsewhere in memory; `made` are tensors that no equation of the derivation defines, `wholes`
    tensors of no formula, in which others lie. `batch` examples decide a choice among programs.
    """

    network: Network
    derivation: Derivation
    forward: tuple[Part, ...]
    loss: tuple[Part, ...]
    backward: tuple[Part, ...]
    predict: tuple[Part, ...]
    score: tuple[Part, ...]
    update: tuple[Part, ...]
    optimizer: Optimizer
    advance: tuple[Part, ...] = ()
    second: tuple[Part, ...] = ()
    hessian: Curvature | None = None
    again: tuple[str, ...] = ()
    bound: Bound | None = None
    in_turn: Mapping[str, Tensor] = field(default_factory=dict)
    moves: Mapping[str, Move] = field(default_factory=dict)
    made: Mapping[str, Tensor] = field(default_factory=dict)
    wholes: tuple[Whole, ...] = ()
    batch: int = 64

    @property
    def arrays(self) -> Mapping[str, Tensor]:
        """Return the tensors with their axes as they lie in memory."""
        found = dict(self.tensors)
        return found | {name: found[name].moved(move) for name, move in self.moves.items()}

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """Return every tensor that a function of the module may read, by name."""
        closed = self.hessian or self.derivation
        wholes = {whole.tensor.name: whole.tensor for whole in self.wholes}
        return {**closed.network.tensors, **self.made, **self.in_turn, **wholes}

    @property
    def computed(self) -> tuple[Part, ...]:
        """Return the parts of every function but the update."""
        first = (*self.forward, *self.loss, *self.predict, *self.score)
        return (*first, *self.advance, *self.backward, *self.second)

    def changed(self, change: Callable[[tuple[Part, ...]], tuple[Part, ...]]) -> Program:
        """Return the program with the parts of every function but the update changed."""
        names = ("forward", "loss", "predict", "score", "advance", "backward", "second")
        changes: dict[str, Any] = {name: change(getattr(self, name)) for name in names}
        return replace(self, **changes)

    def check(self) -> None:
        """Assert that every buffer is written before it is read, and only then added to."""
        start = {t.name for t in self.tensors.values() if t.role in GIVEN}
        self._check_order(start, self.forward + self.loss + self.backward + self.second)
        self._check_order(start, self.forward + self.loss + self.advance)
        self._check_order(start, self.predict + self.score)

    def _check_order(self, written: set[str], parts: tuple[Part, ...]) -> None:
        written = set(written)
        made = written | {step.equation.out.name for step in steps_of(parts)}
        for part in parts:
            steps = steps_of((part,))
            if isinstance(part, Turns):
                written |= {step.equation.out.name for step in steps}
            for step in steps:
                # A view sees what a loop after it writes.
                is_view = isinstance(step.statements[0], View)
                self._check_step(step, made if is_view else written)
            written |= {step.equation.out.name for step in steps}

    def _check_step(self, step: Step, written: set[str]) -> None:
        name = step.equation.out.name
        for read in step.equation.reads():
            assert read in written, f"{name} reads {read} before it is written"
        assert not step.adds or name in written, f"{name} is added to before it is written"
        for place, statement in enumerate(step.statements):
            if not isinstance(statement, Single):
                accumulate = getattr(statement, "accumulate", False)
                adds = step.adds or place > 0
                apart = isinstance(statement, Place) and not accumulate
                assert accumulate == adds or apart, (
                    f"{statement} must {'add' if adds else 'assign'}"
                )

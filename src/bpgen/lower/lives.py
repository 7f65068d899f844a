"""When each buffer is needed: from the step that writes it to the last step that reads it.

Times count the steps of some functions that are called one after the other. A tensor has one life
for each time it is computed anew. In a loop, what one turn leaves for another lives as long as the
loop does: an array that is written entry by entry, or what is read before it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bpgen.ir.index import Index
from bpgen.ir.program import (
    Blocks,
    Part,
    Program,
    RowBlocks,
    Single,
    Step,
    Turns,
    View,
    steps_of,
)
from bpgen.ir.reshape import is_rebound
from bpgen.ir.tensor import Role, Tensor

DRAW = "draw"
TRAINING = (DRAW, "forward", "add_loss", "advance", "backward")
SECOND = "second"


@dataclass(frozen=True, slots=True)
class Moment:
    """A step of a function, counted from 0 in the order of its text."""

    function: str
    step: int


@dataclass(frozen=True, slots=True)
class Loop:
    """The times of a loop; `index` is None for a function that is called again and again."""

    index: Index | None
    times: range
    in_blocks: bool = False

    def parts_rows_of(self, tensor: Tensor | None) -> bool:
        """Whether each turn touches rows of its own of a tensor."""
        return self.in_blocks and tensor is not None and self.index in tensor.indices


@dataclass(slots=True)
class Touched:
    """The times at which a tensor is touched, in order, and whether it is assigned there."""

    tensor: Tensor | None = None
    at: list[tuple[int, bool]] = field(default_factory=list)

    def lives(self, loops: Iterable[Loop]) -> tuple[range, ...]:
        """Return the lives: from each assignment to the last touch before the next."""
        found: list[list[int]] = []
        for time, writes in self.at:
            if writes or not found:
                found.append([])
            found[-1].append(time)
        hulls = [range(min(times), max(times) + 1) for times in found]
        for loop in loops:
            hulls = [self._around(hull, loop) for hull in hulls]
        return _merged(hulls)

    def _around(self, life: range, loop: Loop) -> range:
        """Let a life that one turn of a loop hands to another last through the loop."""
        inside = [(time, writes) for time, writes in self.at if time in loop.times]
        if not any(time in life for time, _ in inside):
            return life
        begin, end = min(life.start, loop.times.start), max(life.stop, loop.times.stop)
        is_within = life.start >= loop.times.start and life.stop <= loop.times.stop
        stays = self.tensor is not None and loop.index in self.tensor.indices
        return life if is_within and inside[0][1] and not stays else range(begin, end)


@dataclass(frozen=True, slots=True)
class Lives:
    """Steps in order, and when each tensor is touched, by the name that has its memory."""

    steps: tuple[Step | None, ...]
    times: Mapping[Moment, int]
    touched: Mapping[str, Touched]
    loops: tuple[Loop, ...]
    roots: Mapping[str, str]

    @property
    def lives(self) -> Mapping[str, tuple[range, ...]]:
        """Return the times at which each tensor is needed, both ends included."""
        return {name: touched.lives(self.loops) for name, touched in self.touched.items()}

    @property
    def own(self) -> Mapping[str, tuple[range, ...]]:
        """Return the times at which each row is needed: of blocks of rows, in one's own alone."""
        return {
            name: touched.lives(one for one in self.loops if not one.parts_rows_of(touched.tensor))
            for name, touched in self.touched.items()
        }

    @property
    def trains(self) -> bool:
        """Whether a gradient is computed."""
        return Moment("backward", 0) in self.times

    def root(self, name: str) -> str:
        """Return the tensor whose memory holds `name`: what a view sees, or the tensor itself."""
        return self.roots.get(name, name)


def functions_of(program: Program) -> dict[str, tuple[Part, ...]]:
    """Return the parts of every function but the update, by its name in an emitted module."""
    return {
        "forward": program.forward,
        "add_loss": program.loss,
        "infer": program.predict,
        "add_score": program.score,
        "advance": program.advance,
        "backward": program.backward,
        SECOND: program.second,
    }


def results_of(program: Program) -> frozenset[str]:
    """Return the gradients, and the products with the Hessian: what callers are given."""
    gradients = [program.derivation.gradient_of(t.name) for t in program.network.parameters]
    gradients += [w.tensor.name for w in program.wholes if w.tensor.role is Role.COTANGENT]
    return frozenset((*gradients, *(program.hessian.parts.values() if program.hessian else ())))


def predicting(program: Program) -> tuple[str, ...]:
    """Return the functions that predict, and score what they have predicted."""
    outputs = "infer" if program.predict else "forward"
    return outputs, "add_score" if program.score else "add_loss"


def lives(program: Program, called: Sequence[str]) -> Lives:
    """Return how long every tensor is needed when the functions `called` run in this order."""
    parts = {name: functions_of(program).get(name, ()) for name in called}
    found = _Timeline(roots_of(parts.values()), program.arrays)
    for noise in program.network.of_role(Role.NOISE) if DRAW in called else ():
        found.touch(noise, called.index(DRAW), writes=True)
    for name in called:
        found.function(name, parts[name])
    return Lives(tuple(found.steps), found.times, found.touched, tuple(found.loops), found.roots)


def roots_of(functions: Iterable[tuple[Part, ...]]) -> dict[str, str]:
    """Return what each view sees, by its name; a view of a view sees what that one does."""
    steps = (step for parts in functions for step in steps_of(parts))
    views = {s.equation.out.name: s.equation.reads()[0] for s in steps if is_view(s)}
    return {name: _end(name, views) for name in views}


def _end(name: str, views: Mapping[str, str]) -> str:
    while name in views:
        name = views[name]
    return name


def written(step: Step) -> Tensor:
    """Return the buffer that a step writes, with the axes that it has in memory."""
    statement = step.statements[0]
    while isinstance(statement, Single):
        statement = statement.statement
    return statement.out


def is_view(step: Step) -> bool:
    """Whether a step only gives a name to memory that another tensor has."""
    first = step.statements[0]
    return isinstance(first, View) and is_rebound(first)


@dataclass(slots=True)
class _Timeline:
    """Steps as they are added, one behind the other."""

    roots: dict[str, str]
    arrays: Mapping[str, Tensor]
    steps: list[Step | None] = field(default_factory=list)
    times: dict[Moment, int] = field(default_factory=dict)
    loops: list[Loop] = field(default_factory=list)
    touched: dict[str, Touched] = field(default_factory=dict)

    def function(self, name: str, parts: Sequence[Part]) -> None:
        begin = len(self.steps)
        if name == DRAW:
            self.times[Moment(DRAW, 0)] = begin
            self.steps.append(None)
        self._add(name, parts, begin)
        if name == SECOND:
            self.loops.append(Loop(None, range(begin, len(self.steps))))

    def _add(self, name: str, parts: Iterable[Part], begin: int) -> None:
        for part in parts:
            match part:
                case Step():
                    time = len(self.steps)
                    self.times[Moment(name, time - begin)] = time
                    self.steps.append(part)
                    self._step(part, time)
                case Turns() | RowBlocks():
                    first = len(self.steps)
                    self._add(name, part.parts, begin)
                    times = range(first, len(self.steps))
                    self.loops.append(Loop(part.index, times, isinstance(part, RowBlocks)))
                case Blocks():
                    raise AssertionError("only an update runs by blocks")

    def _step(self, step: Step, time: int) -> None:
        if is_view(step):
            return
        for name in step.equation.reads():
            self._touch(name, None, time, writes=False)
        self.touch(self.arrays[written(step).name], time, writes=not step.adds)

    def touch(self, tensor: Tensor, time: int, *, writes: bool) -> None:
        self._touch(tensor.name, tensor, time, writes=writes)

    def _touch(self, name: str, tensor: Tensor | None, time: int, *, writes: bool) -> None:
        touched = self.touched.setdefault(self.roots.get(name, name), Touched())
        touched.tensor = touched.tensor or tensor
        touched.at.append((time, writes))


def _merged(ranges: Iterable[range]) -> tuple[range, ...]:
    """Return the same times as ranges that do not touch each other."""
    found: list[range] = []
    for one in sorted(ranges, key=lambda r: r.start):
        if found and one.start < found[-1].stop:
            found[-1] = range(found[-1].start, max(found[-1].stop, one.stop))
        else:
            found.append(one)
    return tuple(found)

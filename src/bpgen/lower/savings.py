"""Which tensors to compute again, so that a step never needs more memory than it may.

What is needed is a curve over the times of a step. A tensor that is computed again is needed twice
for a while, instead of all the time between, and what it is computed from is needed until then.
That changes the curve there alone, so that a choice takes no longer in a deep network. The next is
always the one that takes most off what the curve has above the bound, for the seconds it costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bpgen.cost import Sizes, seconds
from bpgen.ir.index import Index
from bpgen.ir.program import Program
from bpgen.lower.again import Origin, candidates
from bpgen.lower.held import buffers
from bpgen.lower.lives import TRAINING, Lives, Loop, Moment, Touched, lives
from bpgen.lower.turns import by_turns
from bpgen.lower.workspace import Buffer

if TYPE_CHECKING:
    import numpy as np

_SLOTS = 3  # times of a step: before a loop that begins there, before the step, and its own


@dataclass(frozen=True, slots=True)
class Kept:
    """A tensor in memory: when it is touched, and its bytes."""

    touched: Touched
    bytes: int


@dataclass(frozen=True, slots=True)
class Choice:
    """A tensor that may be computed again, in the loops `around`: what it is then, and from what.

    `early` is kept in the forward pass, where each turn of those loops needs but its own entries.
    """

    around: frozenset[Index]
    early: Kept
    sources: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """When tensors are computed `again`, the lives of all then, and the bytes at each time."""

    again: Mapping[str, int]
    lives: Mapping[str, tuple[range, ...]]
    curve: np.ndarray[Any, Any]

    @property
    def peak(self) -> int:
        """Return the bytes at the worst time."""
        return int(self.curve.max())

    def above(self, most: int) -> int:
        """Return the bytes above `most`, of all times together."""
        return int((self.curve - most).clip(0).sum())


@dataclass(frozen=True, slots=True)
class Needs:
    """The tensors that a step of training holds, and those that it may compute again.

    `readers` are, for each tensor, the choices that are computed from it; the backward pass begins
    at the time `begin`.
    """

    kept: Mapping[str, Kept]
    choices: Mapping[str, Choice]
    readers: Mapping[str, tuple[str, ...]]
    loops: tuple[Loop, ...]
    begin: int
    steps: int

    @classmethod
    def of(cls, program: Program, batch: int) -> Needs:
        """Return what `program`, inward, holds in a step on `batch` examples."""
        turned, sizes = by_turns(replace(program, again=())), Sizes.of(program, batch)
        alive = lives(turned, TRAINING)
        held = {b.name: b for b in buffers(turned, alive) if not b.alone}
        kept = {name: _kept(buffer, alive, (), batch) for name, buffer in held.items()}
        choices, readers = dict[str, Choice](), dict[str, tuple[str, ...]]()
        for name, origin in candidates(program).items():
            if name in held:
                early = _kept(held[name], alive, origin.around, batch)
                roots = dict.fromkeys(alive.root(n) for n in origin.step.equation.reads())
                sources = tuple(root for root in roots if root in held)
                readers |= {source: (*readers.get(source, ()), name) for source in sources}
                time = _seconds(origin, sizes)
                choices[name] = Choice(frozenset(origin.around), early, sources, time)
        loops = tuple(replace(o, times=_spread(o.times)) for o in alive.loops)
        begin = _SLOTS * alive.times[Moment("backward", 0)]
        return cls(kept, choices, readers, loops, begin, len(alive.steps))

    def plan(self) -> Plan:
        """Return the plan that computes nothing again."""
        import numpy as np

        empty = Plan({}, {}, np.zeros(_SLOTS * self.steps, np.int64))
        return self._changed(empty, {}, self.kept)

    def within(self, plan: Plan, most: int) -> Plan | None:
        """Return `plan` with so much more computed again that it needs `most`; None if none is."""
        gains = self._gains(plan, most, self.choices)
        while plan.peak > most:
            name = max(gains, key=lambda n: gains[n], default="")
            if not name or gains[name] <= 0:
                gains = self._gains(plan, most, self.choices)
                if max(gains.values(), default=0) <= 0:
                    return None
                continue
            # What was worth something may be worth less, now that there is less above the bound.
            now = self._gains(plan, most, (name,))
            if now == {name: gains[name]}:
                before, plan = plan, self._with(plan, name)
                changed = plan.again.keys() - before.again.keys()
                now = self._gains(plan, most, self._beside(changed)) | dict.fromkeys(changed, 0.0)
            gains |= now or {name: 0.0}
        return plan

    def _beside(self, names: Iterable[str]) -> set[str]:
        """Return the choices whose worth others change: those that share what they read."""
        read = {*names, *(s for name in names for s in self.choices[name].sources)}
        return (read | {n for s in read for n in self.readers.get(s, ())}) & self.choices.keys()

    def _gains(self, plan: Plan, most: int, names: Iterable[str]) -> dict[str, float]:
        """Return what each choice takes off the bytes above `most`, for a second."""
        above, found = plan.above(most), dict[str, float]()
        for name in names:
            if name not in plan.again and self._is_needed_late(name):
                more = self._with(plan, name)
                cost = sum(self.choices[n].seconds for n in more.again.keys() - plan.again.keys())
                found[name] = (above - more.above(most)) / cost
        return found

    def _is_needed_late(self, name: str) -> bool:
        return self.kept[name].touched.at[-1][0] >= self.begin

    # ---- what one more choice changes ------------------------------------------------------------

    def _with(self, plan: Plan, name: str) -> Plan:
        """Return `plan` with one more tensor computed again, and what else that needs."""
        again, changed, waiting = {**plan.again}, {name}, [name]
        while waiting:
            one = waiting.pop()
            time = self._time(one, again)
            if again.get(one) != time:
                again[one] = time
                for source in self.choices[one].sources:
                    changed.add(source)
                    if source in again or (
                        source in self.choices and not self._is_needed_late(source)
                    ):
                        waiting.append(source)
        return self._changed(plan, again, changed)

    def _time(self, name: str, again: Mapping[str, int]) -> int:
        """Return when a tensor is computed again: before all that reads it then, in its loops."""
        late = [time - 1 for time, _ in self.kept[name].touched.at if time >= self.begin]
        time = min(late + [again[n] for n in self.readers.get(name, ()) if n in again])
        for loop in self.loops:
            if time in loop.times and loop.index not in self.choices[name].around:
                time = min(time, loop.times.start - 1)
        return time

    def _changed(self, plan: Plan, again: Mapping[str, int], names: Iterable[str]) -> Plan:
        """Return `plan` with other times, which change the lives of the tensors `names`."""
        found, curve = {**plan.lives}, plan.curve.copy()
        for name in names:
            for life in found.get(name, ()):
                curve[life.start : life.stop] -= self._kept(name, plan.again).bytes
            kept = self._kept(name, again)
            found[name] = self._touched(name, kept.touched, again).lives(self.loops)
            for life in found[name]:
                curve[life.start : life.stop] += kept.bytes
        return Plan(again, found, curve)

    def _kept(self, name: str, again: Mapping[str, int]) -> Kept:
        return self.choices[name].early if name in again else self.kept[name]

    def _touched(self, name: str, touched: Touched, again: Mapping[str, int]) -> Touched:
        """Return all touches of a tensor, with those of what is computed again."""
        early = [(time, writes) for time, writes in touched.at if time < self.begin]
        late = [(time, writes) for time, writes in touched.at if time >= self.begin]
        late += [(again[n], False) for n in self.readers.get(name, ()) if n in again]
        if name in again:
            early.append((again[name], True))
        return Touched(touched.tensor, [*early, *sorted(late)])


def _kept(buffer: Buffer, alive: Lives, around: Iterable[Index], batch: int) -> Kept:
    """Return a buffer without the axes of the loops `around`."""
    touched = alive.touched[buffer.name]
    own = replace(buffer, indices=tuple(i for i in buffer.indices if i not in {*around}))
    tensor = touched.tensor and replace(touched.tensor, indices=own.indices)
    at = [(_SLOTS * time, writes) for time, writes in touched.at]
    return Kept(Touched(tensor, at), own.piece(()).bytes(own.rows(()), batch))


def _spread(times: range) -> range:
    """Return the times of a loop, whose first step may need something right before it."""
    return range(_SLOTS * times.start - 1, _SLOTS * times.stop - 2)


def _seconds(origin: Origin, sizes: Sizes) -> float:
    turns = sizes.entries(origin.around)
    return turns * seconds((origin.step,), sizes.inside(origin.around))

"""When each tensor is needed on the device: from the launch that writes it to the last that reads.

A launch reads and writes all its memory at one time: what a kernel computes may be stored before,
or after, anything else that it reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bpgen.lower.lives import Loop, Moment, Touched
from bpgen.targets.cupy.kernel import Launch
from bpgen.targets.cupy.memory import Memory
from bpgen.targets.cupy.target import Rounds

Launches = Sequence[Launch | Rounds]


@dataclass(frozen=True, slots=True)
class DeviceLives:
    """Launches in order; and the times at which each tensor that they touch is needed."""

    launches: tuple[Launch, ...]
    times: Mapping[Moment, int]
    lives: Mapping[str, tuple[range, ...]]


def lives(functions: Mapping[str, Launches], memory: Memory) -> DeviceLives:
    """Return how long every tensor is needed when `functions` run in their order."""
    done: list[Launch] = []
    times: dict[Moment, int] = {}
    loops: list[Loop] = []
    found: dict[str, Touched] = {}

    def add(name: str, launches: Launches, begin: int) -> None:
        for launch in launches:
            time = len(done)
            if isinstance(launch, Rounds):
                add(name, launch.body, begin)
                loops.append(Loop(launch.index, range(time, len(done))))
                continue
            times[Moment(name, time - begin)] = time
            done.append(launch)
            for read in launch.touched.reads:
                found.setdefault(read, Touched()).at.append((time, False))
            for out in launch.touched.assigns:
                own = found.setdefault(out, Touched())
                own.tensor = replace(memory.tensors[out], indices=memory.axes(out))
                own.at.append((time, True))

    for name, launches in functions.items():
        add(name, launches, len(done))
    return DeviceLives(tuple(done), times, {n: t.lives(loops) for n, t in found.items()})

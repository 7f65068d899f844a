"""What each launch of a step takes, and how near it comes to what the GPU can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from benchmarks.device.clock import Clock


@dataclass(frozen=True, slots=True)
class Launch:
    """A launch: its microseconds, the bytes of its arrays, its multiply-adds if it is a product."""

    name: str
    time: float
    size: int
    work: int


@dataclass(slots=True)
class Watch:
    """Kernels of a module, each of whose launches is timed on its own, repeated."""

    kernels: Any
    clock: Clock
    stream: Any
    seen: list[Launch]

    def __getattr__(self, method: str) -> Callable[..., None]:
        """Return a method of the kernels that is timed."""
        launch = getattr(self.kernels, method)

        def timed(*given: Any, **options: Any) -> None:
            launch(*given, **options)
            arrays = [arg for arg in (*given, *options.values()) if hasattr(arg, "itemsize")]
            name = str(given[0]) if isinstance(given[0], str) else "cuBLASLt"
            work = prod(given[2].shape) * given[0].shape[-1] if method == "matmul" else 0
            time = self.clock.of(lambda: launch(*given, **options), self.stream)
            self.seen.append(Launch(name, time, sum(a.size * a.itemsize for a in arrays), work))

        return timed


def launches(trainer: Any, workspace: Any, clock: Clock) -> list[Launch]:
    """Return every launch of a step, the longest first. Parameters are of no use afterwards."""
    seen: list[Launch] = []
    for owner in (workspace, trainer.state):
        owner.kernels = Watch(owner.kernels, clock, trainer.stream, seen)
    with trainer.stream:
        trainer._launch(workspace)  # noqa: SLF001  one step, launch by launch
    for owner in (workspace, trainer.state):
        owner.kernels = owner.kernels.kernels
    return sorted(seen, key=lambda launch: -launch.time)

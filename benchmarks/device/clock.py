"""How long a step takes: between events of the GPU, or by the host's clock in rehearsal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Clock:
    """Microseconds of repeated work, the median over rounds, after a warm-up.

    Rounds end when `seconds` are over. `cupy` is None in rehearsal.
    """

    cupy: Any
    rounds: int = 20
    steps: int = 20
    seconds: float = 6.0

    def of(self, step: Callable[[], object], stream: Any = None) -> float:
        """Return the microseconds of a step that is launched into `stream`."""
        begin = time.monotonic()
        for _ in range(3):
            step()
        found: list[float] = []
        while len(found) < self.rounds and (not found or time.monotonic() - begin < self.seconds):
            found.append(self._round(step, stream) / self.steps)
        return median(found)

    def _round(self, step: Callable[[], object], stream: Any) -> float:
        if self.cupy is None:
            begin = time.perf_counter()
            for _ in range(self.steps):
                step()
            return 1e6 * (time.perf_counter() - begin)
        start, end = self.cupy.cuda.Event(), self.cupy.cuda.Event()
        start.record(stream)
        for _ in range(self.steps):
            step()
        end.record(stream)
        end.synchronize()
        return 1e3 * float(self.cupy.cuda.get_elapsed_time(start, end))

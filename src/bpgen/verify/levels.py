"""The levels of evidence: what each one looks at, what it can see, and what it cost."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

# For each stage of a check: the level, what it asks, and the least relative error it can see.
STAGES = {
    "points": ("L0", "points drawn from seeds; the loss is finite there", "gross errors"),
    "proof": ("L3", "Taylor coefficient of the forward against the gradient, in balls", "1e-30"),
    "Taylor table": ("L1", "remainders R0, R1, R2 and stencils of order 2 to 8", "1e-12 … 1e-28"),
    "complex step": ("L2", "a derivative without differences, in float64", "1e-12"),
    "diagnosis": ("L3", "which cotangent is wrong, and the mistake that explains it", "1e-30"),
    "canaries": ("L3", "wrong gradients, planted and refuted", "1e-9"),
    "emitted code": ("L5", "shapes, dtypes and gradients of emitted modules", "rounding"),
    "line integral": ("L4", "emitted gradients along a segment against the loss", "1e-6 / 1e-11"),
    "float32": ("L5", "the equation that loses digits in float32", "rounding"),
    "extents": ("L0", "smaller extents that keep every relation", "gross errors"),
    "declared extents": ("L2", "what is measured at the declared extents", "1e-12"),
}


@dataclass(frozen=True, slots=True)
class Level:
    """One stage of a check: its level, what was asked, what it sees, and the seconds it took."""

    level: str
    stage: str
    asks: str
    sees: str
    seconds: float


@dataclass(slots=True)
class Stopwatch:
    """Tells `progress` each stage, and remembers how long each one took."""

    progress: Callable[[str], None]
    _seconds: dict[str, float] = field(default_factory=dict)
    _stage: str = ""
    _begun: float = 0.0

    def stage(self, name: str) -> None:
        """Begin a stage; the one before ends."""
        now = time.perf_counter()
        if self._stage:
            self._seconds[self._stage] = self._seconds.get(self._stage, 0) + now - self._begun
        self._stage, self._begun = name, now
        if name:
            self.progress(name)

    def levels(self) -> tuple[Level, ...]:
        """End the last stage, and return all."""
        self.stage("")
        return tuple(
            Level(STAGES[s][0], s, *STAGES[s][1:], round(t, 4)) for s, t in self._seconds.items()
        )

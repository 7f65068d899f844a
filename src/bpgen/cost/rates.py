"""How fast one core computes, measured by `benchmarks/rates.py` on a server of 2 cores.

Seconds and bytes. A pass is one ufunc over an array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rates:
    """What a machine does in a second, and what each call costs before it does anything.

    `bandwidths` are, for arrays up to so many bytes, the bytes a pass reads and writes in a second.
    `entries` are seconds for an entry of functions that take longer than their bytes.
    """

    multiply_adds: float
    overhead: float
    bandwidths: tuple[tuple[float, float], ...]
    entries: Mapping[str, float] = field(default_factory=dict)

    def bandwidth(self, size: float) -> float:
        """Return the bytes a second of a pass that touches `size` bytes."""
        return next(rate for limit, rate in self.bandwidths if size <= limit)


NUMPY = Rates(
    multiply_adds=60e9,
    overhead=0.6e-6,
    bandwidths=((1e6, 120e9), (16e6, 100e9), (float("inf"), 40e9)),
    entries={
        "exp": 0.36e-9,
        "log": 0.26e-9,
        "tanh": 0.18e-9,
        "sin": 0.42e-9,
        "cos": 0.42e-9,
        "sqrt": 0.30e-9,
        "erf": 1.2e-9,
        "power": 1.0e-9,
        "choose": 1.5e-9,
        "take": 0.6e-9,
        "add": 0.3e-9,
        "equal": 0.2e-9,
        "windows": 0.10e-9,  # copied by runs
        "fold": 0.28e-9,  # windows, added in place by runs
        "transpose": 1.0e-9,  # a matrix, copied
        "by columns": 0.25e-9,  # a matrix that a product reads so, besides the product
        "largest of a row": 50e-9,
    },
)

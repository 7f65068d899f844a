"""What the machine can do: the rate of matrix products, and that of memory.

    python -m benchmarks.limits THREADS

Formula:
    flops = 2 K³ / seconds of a product of two K × K matrices of float32
    bytes = 2 · size / seconds of a copy of arrays too large for the caches
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np

K, SIZE, REPEATS = 1536, 1 << 26, 12  # a matrix of K × K; bytes of an array


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that was measured: operations and bytes in a second."""

    flops: float
    bytes: float


def measured(threads: int) -> Limits:
    """Return the limits of this process, which numpy's BLAS was told about when it started."""
    a, b, out = (np.ones((K, K), np.float32) for _ in range(3))
    product = _least(lambda: np.dot(a, b, out=out))
    source, target = (np.ones((threads, SIZE // threads), np.uint8) for _ in range(2))
    with ThreadPoolExecutor(threads) as pool:
        copy = _least(lambda: list(pool.map(np.copyto, target, source)))
    return Limits(2 * K**3 / product, 2 * SIZE / copy)


def _least(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


if __name__ == "__main__":
    print(json.dumps(asdict(measured(int(sys.argv[1])))))

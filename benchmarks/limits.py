"""What the machine can do: the rate of matrix products, that of memory, and a call of numpy.

    python -m benchmarks.limits THREADS

Formula:
    flops = 2 K³ / seconds of a product of two K × K matrices of float32
    bytes = 2 · size / seconds of a copy of arrays too large for the caches
    call = seconds of a sum of two numbers, which numpy needs for any work
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.clock import clock

K, SIZE, REPEATS = 768, 1 << 26, 60  # a matrix of K × K; bytes of an array
CALLS = 1000  # in a row


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that was measured: operations and bytes in a second; and the least: of a call."""

    flops: float
    bytes: float
    call: float


def measured(threads: int) -> Limits:
    """Return the limits of this process, which numpy's BLAS was told about when it started."""
    a, b, out = (np.ones((K, K), np.float32) for _ in range(3))
    now = clock(threads)
    product = _least(lambda: np.dot(a, b, out=out), now)
    source, target = (np.ones((threads, SIZE // threads), np.uint8) for _ in range(2))
    with ThreadPoolExecutor(threads) as pool:
        copy = _least(lambda: list(pool.map(np.copyto, target, source)), now)
    x, total = np.ones((2, 1), np.float32)
    call = _least(lambda: [np.add(x, x, out=total) for _ in range(CALLS)], now) / CALLS
    return Limits(2 * K**3 / product, 2 * SIZE / copy, call)


def _least(work: Callable[[], object], now: Callable[[], float]) -> float:
    seconds = []
    for _ in range(REPEATS):
        begin = now()
        work()
        seconds.append(now() - begin)
    return min(seconds)


if __name__ == "__main__":
    print(json.dumps(asdict(measured(int(sys.argv[1])))))

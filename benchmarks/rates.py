"""How fast one core computes what a step is made of: the rates in `bpgen/cost/rates.py`.

    python benchmarks/rates.py

Each figure is the best of many repetitions: what else runs on the machine can only slow them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # read on import
    os.environ[name] = "1"

import numpy as np  # noqa: E402  after the threads are set

FLOAT = np.dtype(np.float32)
ROWS = 1 << 16


def seconds(call: Callable[[], object], budget: float = 0.4) -> float:
    """Return the least time that `call` took."""
    best, end = np.inf, time.perf_counter() + budget
    while time.perf_counter() < end:
        begin = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begin)
    return float(best)


def entries(make: Callable[[np.ndarray, np.ndarray], object]) -> float:
    """Return the seconds for an entry of what `make` computes of a vector into another."""
    x = np.random.default_rng(0).uniform(0.1, 2, ROWS).astype(FLOAT)
    out = np.empty_like(x)
    return seconds(lambda: make(x, out)) / ROWS


def _apply(function: np.ufunc, x: np.ndarray, out: np.ndarray) -> object:
    return function(x, out=out)


def main() -> None:
    """Print every rate."""
    one, two, side = np.ones(1, FLOAT), np.ones(1, FLOAT), 256
    print(f"overhead       {seconds(lambda: np.add(one, one, out=two)) * 1e6:.2f} µs")
    a = np.ones((side, side), FLOAT)
    c = np.empty_like(a)
    print(f"multiply-adds  {side**3 / seconds(lambda: np.dot(a, a, out=c), 2) / 1e9:.0f} G/s")
    for size in (1e5, 5e5, 4e6, 1.5e7, 1e8):
        u, v, w = (np.ones(int(size / 12), FLOAT) for _ in range(3))
        rate = size / seconds(partial(np.add, u, v, out=w))
        print(f"bytes          {rate / 1e9:.0f} G/s at {size / 1e6:.1f} MB")
    for function in (np.exp, np.log, np.tanh, np.sin, np.cos, np.sqrt):
        taken = entries(partial(_apply, function))
        print(f"{function.__name__:14} {taken * 1e9:.2f} ns")
    mask = np.arange(ROWS) % 3 == 0
    at = np.random.default_rng(0).permutation(ROWS)
    others = {
        "power": lambda x, out: np.power(x, 1.5, out=out),
        "choose": lambda x, out: np.copyto(out, x, where=mask),
        "take": lambda x, out: x.take(at, out=out, mode="clip"),
        "equal": lambda x, out: np.equal(at, 7, out=out),
        "add": lambda x, _out: np.add.reduce(x.reshape(-1, 128), axis=1),
    }
    for label, make in others.items():
        print(f"{label:14} {entries(make) * 1e9:.2f} ns")
    row = entries(lambda x, _out: np.maximum.reduce(x.reshape(-1, 16), axis=1)) * 16
    print(f"largest of 16  {row * 1e9:.2f} ns")


if __name__ == "__main__":
    main()

"""Time a training step of digits_mlp: the emitted module and PyTorch eager, in turns, one thread.

python benchmarks/step.py [--batch 32] [--rounds 60]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read on import

import numpy as np
import torch

import bpgen as bp

STEPS = 200  # in one turn


def emitted_step(x: np.ndarray, digit: np.ndarray) -> Callable[[], float]:
    """Return a step of the module that bpgen emits."""
    with tempfile.TemporaryDirectory() as folder:
        net = bp.load("digits_mlp").emit(target="numpy", path=Path(folder) / "digits_mlp_numpy.py")
    trainer = net.Trainer(net.init(0), batch=len(x))
    return lambda: float(trainer.step(x=x, digit=digit))


def torch_step(x: np.ndarray, digit: np.ndarray) -> Callable[[], float]:
    """Return a step of the same network in PyTorch, as its tutorials write it."""
    net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    inputs, targets = torch.from_numpy(x), torch.from_numpy(digit)

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def microseconds(step: Callable[[], float]) -> float:
    """Return the time of one step, averaged over a turn."""
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    return (time.perf_counter() - start) / STEPS * 1e6


def main() -> None:
    """Take turns, and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=60)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = rng.random((args.batch, 64), dtype=np.float32)
    digit = rng.integers(0, 10, args.batch)
    steps = {"bpgen numpy": emitted_step(x, digit), "torch eager": torch_step(x, digit)}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(args.rounds):
        for name, step in steps.items():
            times[name].append(microseconds(step))
    print(f"digits_mlp, batch {args.batch}, one thread, {args.rounds} rounds of {STEPS} steps")
    for name, measured in times.items():
        low, middle, high = statistics.quantiles(measured, n=4)
        print(f"  {name:12} {middle:8.1f} µs a step   (quartiles {low:.1f} … {high:.1f})")
    ours, theirs = (statistics.median(measured) for measured in times.values())
    print(f"  torch eager takes {theirs / ours:.1f} times as long")


if __name__ == "__main__":
    main()

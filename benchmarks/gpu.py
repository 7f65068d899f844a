"""How long a training step takes on a GPU: emitted CuPy modules beside PyTorch and JAX.

Each network trains on one batch, which is copied from the host in every step. Times are medians
over rounds between CUDA events, after a warm-up; losses of the first step are compared, so that the
work is the same. Kernels are timed one by one, beside the bandwidth of a copy and the rate of a
large product on this GPU.

    python -m benchmarks.gpu              prints the tables
    python -m benchmarks.gpu -o FILE      writes them too
    python -m benchmarks.gpu --rehearse   on the CPU, with batches of 2
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import bpgen as bp
from benchmarks.device.clock import Clock
from benchmarks.device.rivals import in_jax, in_torch
from benchmarks.device.watch import launches
from benchmarks.device.workloads import WORKLOADS, Workload
from bpgen.device.standin import installed
from bpgen.execute.load import load_module

SHOWN = 6  # kernels of a network
WITHIN = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 3e-2}  # of first losses
RIVALS: dict[str, Callable[..., Any]] = {
    "PyTorch eager": partial(in_torch, mode=None),
    "torch.compile": partial(in_torch, mode="default"),
    "torch.compile with graphs": partial(in_torch, mode="reduce-overhead"),
    "JAX jit": in_jax,
}


def main() -> None:
    """Measure all networks while there is time, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("--seconds", type=float, default=330, help="begin nothing after these")
    args = parser.parse_args()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    end = time.monotonic() + args.seconds
    with installed() if args.rehearse else nullcontext():
        lines = list(report(end, rehearses=args.rehearse))
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if args.output:
        args.output.write_text(text, encoding="utf-8")


def report(end: float, *, rehearses: bool) -> Iterator[str]:
    """Yield the lines of the report; the summary is the last table."""
    clock = Clock(None, rounds=1, steps=1) if rehearses else Clock(_cupy())
    limits = (1.0, 1.0) if rehearses else _limits(clock)
    yield f"# Steps on {'the stand-in' if rehearses else _device()}"
    yield ""
    yield f"A copy moves {limits[0]:.0f} GB/s, a product of 8192 takes {limits[1]:.1f} TFLOP/s."
    yield "Beside the longest kernels of a step stands their share of these two."
    races = [
        Race(replace(workload, batch=2) if rehearses else workload, clock, end, rehearses)
        for workload in WORKLOADS
        if workload.is_small or not rehearses
    ]
    for race in races:
        yield from ("", f"## {race.workload.title}", "", *race.run(limits))
    yield from ("", "## Microseconds a step, medians", "", *summary(races))


def summary(races: Sequence[Race]) -> Iterator[str]:
    """Yield the times of all networks, a row each."""
    names = ("bpgen", "bpgen, launch by launch", *RIVALS)
    yield f"| network | {' | '.join(names)} |"
    yield "| --- |" + " ---: |" * len(names)
    for race in races:
        cells = [f"{race.times[name]:.1f}" if name in race.times else "–" for name in names]
        yield f"| {race.workload.title} | {' | '.join(cells)} |"


@dataclass(slots=True)
class Race:
    """One network, trained by everyone; `times` are the microseconds of a step."""

    workload: Workload
    clock: Clock
    end: float
    rehearses: bool
    times: dict[str, float] = field(default_factory=dict)

    def run(self, limits: tuple[float, float]) -> Iterator[str]:
        """Measure, while there is time, and yield what is to be said."""
        given: list[Any] = []
        yield from self._guarded("bpgen", lambda: self._own(given, limits))
        for name, rival in RIVALS.items():
            if given:
                yield from self._guarded(name, partial(self._rival, name, rival, *given))

    def _guarded(self, name: str, rows: Callable[[], Iterator[str]]) -> Iterator[str]:
        """Yield rows; a failure is a row, too, for it must not cost what comes after it."""
        if time.monotonic() > self.end:
            yield f"- {name}: not measured, no time left"
            return
        try:
            yield from rows()
        except Exception as error:  # noqa: BLE001  whatever it is, it is shown
            yield f"- {name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        gc.collect()
        if not self.rehearses:
            _cupy().get_default_memory_pool().free_all_blocks()

    def _own(self, given: list[Any], limits: tuple[float, float]) -> Iterator[str]:
        """Time the emitted module and its kernels; give the others what it starts from."""
        workload = self.workload
        net = _module(workload)
        batch = {k: _ready(v) for k, v in net.example(workload.batch).items()}
        start = net.init(0)
        given.append({name: getattr(start, name).get() for name in net.PARAMETERS})
        trainer = net.Trainer(start, workload.batch)
        given += [batch, trainer.step(**batch)]
        self.times["bpgen"] = self.clock.of(partial(trainer.start, **batch), trainer.stream)
        trainer.graph = False
        taken = self.clock.of(partial(trainer.start, **batch), trainer.stream)
        self.times["bpgen, launch by launch"] = taken
        workspace = trainer._workspaces[workload.batch]  # noqa: SLF001  its arrays are there
        yield from _kernels(launches(trainer, workspace, replace(self.clock, rounds=1)), limits)

    def _rival(
        self,
        name: str,
        rival: Callable[..., Any],
        params: dict[str, np.ndarray],
        batch: dict[str, np.ndarray],
        first: float,
    ) -> Iterator[str]:
        """Time another framework, and say so if its first loss is not ours."""
        step, stream = rival(self.workload, params, batch, rehearses=self.rehearses)
        loss = float(step())
        if abs(loss - first) > WITHIN[self.workload.precision] * abs(first):
            yield f"- {name}: ANOTHER LOSS, {loss} for {first}"
        has_stream = stream is not None or self.rehearses
        self.times[name] = self.clock.of(step, stream) if has_stream else _waited(step)


def _module(workload: Workload) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{workload.model}_cupy.py"
        text = bp.load(workload.path).source("cupy", precision=workload.precision)
        path.write_text(text, encoding="utf-8")
        return load_module(path)


def _waited(step: Callable[[], Any], steps: int = 50) -> float:
    """Return the microseconds of a step of a framework that has no stream to put events into."""
    for _ in range(5):
        float(step())
    begin = time.perf_counter()
    for _ in range(steps):
        last = step()
    float(last)
    return 1e6 * (time.perf_counter() - begin) / steps


def _kernels(seen: list[Any], limits: tuple[float, float]) -> Iterator[str]:
    total = sum(launch.time for launch in seen)
    yield f"| the longest of {len(seen)} launches | microseconds | share | GB/s | TFLOP/s |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for launch in seen[:SHOWN]:
        moved, work = launch.size / launch.time / 1e3, 2 * launch.work / launch.time / 1e6
        rate = f"{work:.1f} ({work / limits[1]:.0%})" if work else ""
        yield (
            f"| `{launch.name}` | {launch.time:.1f} | {launch.time / total:.0%} "
            f"| {moved:.0f} ({moved / limits[0]:.0%}) | {rate} |"
        )


def _limits(clock: Clock) -> tuple[float, float]:
    """Return what this GPU reaches: GB/s of a copy, TFLOP/s of a product in float32."""
    cupy = clock.cupy
    a, b = (cupy.zeros(2**28, np.float32) for _ in range(2))
    copy = clock.of(lambda: cupy.copyto(a, b))
    x, y, z = (cupy.ones((8192, 8192), np.float32) for _ in range(3))
    product = clock.of(lambda: cupy.matmul(x, y, out=z))
    return 2 * a.nbytes / copy / 1e3, 2 * 8192**3 / product / 1e6


def _ready(array: np.ndarray) -> np.ndarray:
    """Return an array as a module takes it without a conversion."""
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _cupy() -> Any:
    import cupy

    return cupy


def _device() -> str:
    properties = _cupy().cuda.runtime.getDeviceProperties(0)
    return f"{properties['name'].decode()}, CuPy {_cupy().__version__}"


if __name__ == "__main__":
    main()

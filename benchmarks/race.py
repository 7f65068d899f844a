"""A race: the contestants of one workload start one by one, and then step in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contestants import Case
from benchmarks.gaps import Gap
from benchmarks.limits import Limits
from benchmarks.workload import WORKLOADS
from bpgen.execute.load import Emitted, load_module

ROOT = Path(__file__).parents[1]
ALWAYS = ("bpgen", "torch")
COMPARED, AGREEMENT = 5, 1e-3  # first losses; float32 rounds differently in another order
ROUNDS, FEWEST, TURN, LONGEST = 40, 9, 0.08, 25.0  # seconds of a turn, and of all rounds


@dataclass(frozen=True, slots=True)
class Result:
    """What one contestant came to: in each round the seconds of a step, and the rest once.

    `seconds` are those of the clock, `processor` those of all threads.
    """

    start: float  # seconds from `python` to the end of the first step
    peak: int  # bytes
    seconds: tuple[float, ...]
    processor: tuple[float, ...]

    def times(self, threads: int) -> tuple[float, ...]:
        """Return what counts: see `clock`."""
        return self.processor if threads == 1 else self.seconds


@dataclass(frozen=True, slots=True)
class Row:
    """What a workload came to with so many threads.

    `emit` is the time of `bpgen emit`, `limits` what the machine could do just then, and `gaps` are
    the statements of the emitted module that take the most time.
    """

    workload: str
    threads: int
    emit: float
    limits: Limits
    results: dict[str, Result]
    gaps: tuple[Gap, ...]


# By these a machine may tell OpenBLAS for which processor to compute, and oneDNN, MKL.
_CHOSEN = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")


class Worker:
    """A running contestant; `start` is the time to its first step."""

    def __init__(self, contestant: str, case: Case, name: str) -> None:
        """Start the process and wait for its first step."""
        self.contestant, self.log = contestant, case.folder / f"{contestant}.log"
        words = [contestant, name, str(case.folder), str(case.threads)]
        begin = time.perf_counter()
        with self.log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own module
                [sys.executable, "-m", "benchmarks.worker", *words],
                cwd=ROOT,
                env=environment(case),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._told, self._said = self._process.stdin, self._process.stdout
        self.losses = self._answer()["losses"]
        self.start = time.perf_counter() - begin
        answer = self.take(COMPARED - 1)
        self.losses += answer["losses"]
        self.turn = max(1, round(TURN / self.take(3)["seconds"]))

    def __enter__(self) -> Worker:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self._told.close()
        self._process.wait()

    def take(self, steps: int) -> dict[str, Any]:
        """Take so many steps, and return what the worker says of them."""
        self._told.write(f"{steps}\n")
        self._told.flush()
        return self._answer()

    def round(self) -> tuple[float, float]:
        """Return the seconds of a step, and of the processor, after one that fills the caches."""
        self.take(1)
        answer = self.take(self.turn)
        return answer["seconds"], answer["processor"]

    def _answer(self) -> dict[str, Any]:
        line = self._said.readline()
        assert line, f"{self.contestant} died:\n{self.log.read_text()[-2000:]}"
        answer: dict[str, Any] = json.loads(line)
        return answer


def environment(case: Case) -> dict[str, str]:
    """Return the environment that limits every library to the threads of the case.

    Each library chooses its kernels for the processor itself.
    """
    limits = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
    eigen = "true" if case.threads > 1 else "false"
    return {
        **{k: v for k, v in os.environ.items() if k not in _CHOSEN},
        **dict.fromkeys(limits, str(case.threads)),
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={eigen}",
        "JAX_PLATFORMS": "cpu",
        "TORCHINDUCTOR_CACHE_DIR": tempfile.mkdtemp(dir=case.folder),  # each compiles for itself
    }


def race(name: str, threads: int, among: Sequence[str]) -> Row:
    """Start the contestants of a workload, compare their first losses, and time them in turn.

    Beside bpgen and PyTorch eager, those in `among` take part.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        case = Case(WORKLOADS[name], Path(folder), threads)
        seconds = prepare(case)
        workers = [
            stack.enter_context(Worker(contestant, case, name))
            for contestant in case.workload.contestants
            if contestant in (*ALWAYS, *among)
        ]
        compare(workers)
        rounds = _rounds(workers)
        results = {
            worker.contestant: Result(
                worker.start, worker.take(1)["peak"], *zip(*times, strict=True)
            )
            for worker, times in zip(workers, zip(*rounds, strict=True), strict=True)
        }
        stack.close()
        limits, gaps = examine(case, name)
    return Row(name, threads, seconds, limits, results, gaps)


def examine(case: Case, name: str) -> tuple[Limits, tuple[Gap, ...]]:
    """Return what the machine can do, and where the emitted module stays behind it."""
    words = ["-m", "benchmarks.gaps", name, str(case.folder), str(case.threads)]
    done = subprocess.run(  # noqa: S603  our own module
        [sys.executable, *words],
        check=True,
        capture_output=True,
        cwd=ROOT,
        env=environment(case),
        text=True,
    )
    found = json.loads(done.stdout)
    return Limits(**found["limits"]), tuple(Gap(**gap) for gap in found["gaps"])


def prepare(case: Case) -> float:
    """Emit the module and fill the folder; return the seconds of `bpgen emit`."""
    words = ["-m", "bpgen", "emit", str(case.workload.path), "-o", str(case.module)]
    begin = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True, cwd=ROOT)  # noqa: S603  our own module
    seconds = time.perf_counter() - begin
    fill(case, load_module(case.module))
    return seconds


def fill(case: Case, net: Emitted) -> None:
    """Write first values and a batch of random examples, as the emitted module makes them."""
    params, batch = net.init(0), net.example(case.workload.batch)
    np.savez(case.folder / "params.npz", **{k: getattr(params, k) for k in net.PARAMETERS})
    reals = {k: v.astype(net.DTYPE) for k, v in batch.items() if v.dtype.kind == "f"}
    real: dict[str, Any] = {**batch, **reals}
    np.savez(case.folder / "batch.npz", **real)


def compare(workers: Sequence[Worker]) -> None:
    """Make sure that the work is the same: the first losses agree."""
    first = workers[0]
    for worker in workers[1:]:
        for own, other in zip(worker.losses, first.losses, strict=True):
            assert abs(own - other) <= AGREEMENT * abs(other), (
                f"the work differs: {first.contestant} {first.losses}, "
                f"{worker.contestant} {worker.losses}"
            )


def _rounds(workers: Sequence[Worker]) -> list[tuple[tuple[float, float], ...]]:
    """Return the seconds of a step of each worker, round by round, until time is up."""
    rounds: list[tuple[tuple[float, float], ...]] = []
    begin = time.perf_counter()
    while len(rounds) < FEWEST or (len(rounds) < ROUNDS and time.perf_counter() - begin < LONGEST):
        rounds.append(tuple(worker.round() for worker in workers))
    return rounds

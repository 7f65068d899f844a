"""A process of one contestant: it takes steps as it is told by lines on its standard input.

    python -m benchmarks.worker CONTESTANT WORKLOAD FOLDER THREADS

It takes a first step, and says so in a line of JSON; then, for each number that it reads, as many
steps, and answers with their losses, the seconds of one by the clock and by the processor, and the
most memory it ever held.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path

from benchmarks.contestants import Case, Step
from benchmarks.workload import WORKLOADS


def main(contestant: str, workload: str, folder: str, threads: str) -> None:
    """Start, and step until the input ends."""
    case = Case(WORKLOADS[workload], Path(folder), int(threads))
    step: Step = import_module(f"benchmarks.contestants.{contestant}").setup(case)
    _say(losses=[step()])
    for line in sys.stdin:
        begin, busy = time.perf_counter(), time.process_time()
        losses = [step() for _ in range(int(line))]
        seconds = (time.perf_counter() - begin) / len(losses)
        processor = (time.process_time() - busy) / len(losses)
        _say(losses=losses, seconds=seconds, processor=processor, peak=peak())


def peak() -> int:
    """Return the most bytes of memory that this process ever held, as Linux counts them.

    `ru_maxrss` would count those of the process that started this one too.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

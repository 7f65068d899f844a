"""Training steps of emitted modules and of the frameworks: time, memory, start.

    python -m benchmarks.steps                                 everything, in half an hour
    python -m benchmarks.steps lenet gpt --threads 2           rows that replace those of before
    python -m benchmarks.steps lenet --peers                   beside PyTorch eager alone
    python -m benchmarks.steps --report                        only write the report anew

What is measured goes to `results/steps.json`, and from there to `steps.md` and `steps.svg`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import machine, record
from benchmarks.contestants import TITLES
from benchmarks.picture import draw
from benchmarks.race import ALWAYS, race
from benchmarks.report import report
from benchmarks.workload import WORKLOADS

RESULTS = Path(__file__).parent / "results"
PEERS = tuple(name for name in TITLES if name not in ALWAYS)


def main() -> None:
    """Measure, and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--report", action="store_true", help="measure nothing")
    options = parser.parse_args()
    path = RESULTS / "steps.json"
    found = record.read(path, machine.described())
    for threads in options.threads if not options.report else ():
        for name in options.workloads or WORKLOADS:
            print(f"{name}, {threads} threads", flush=True)
            found = found.with_row(race(name, threads, options.peers))
            record.write(path, found)
    (RESULTS / "steps.md").write_text(report(found), encoding="utf-8")
    draw(found, RESULTS / "steps.svg")


if __name__ == "__main__":
    main()

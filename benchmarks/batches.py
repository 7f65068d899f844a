"""How much memory training takes, against the batch: the emitted module and PyTorch eager.

    python -m benchmarks.batches     writes results/batches.md and batches.svg

Each figure is the most memory of a process that took a few steps and did nothing else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import machine
from benchmarks.contestants import TITLES, Case
from benchmarks.picture import COLOURS
from benchmarks.race import ALWAYS, Worker, fill
from benchmarks.workload import WORKLOADS, Workload
from bpgen.execute.figure import figure
from bpgen.model import load

RESULTS = Path(__file__).parent / "results"
NAMES, BATCHES = ("mlp_784_64", "lenet", "gpt", "lstm"), (4, 16, 64, 256)


@dataclass(frozen=True, slots=True)
class Point:
    """The most bytes that each contestant held, for one batch of a workload."""

    workload: Workload
    batch: int
    peaks: dict[str, int]


def main() -> None:
    """Measure all batches, and report."""
    points = [point for name in NAMES for point in _points(name)]
    (RESULTS / "batches.md").write_text(report(points), encoding="utf-8")
    draw(points, RESULTS / "batches.svg")


def _points(name: str) -> Iterator[Point]:
    for batch in BATCHES:
        with tempfile.TemporaryDirectory() as folder:
            case = Case(replace(WORKLOADS[name], batch=batch), Path(folder), threads=1)
            fill(case, load(case.workload.path).emit(path=case.module))
            yield Point(case.workload, batch, {c: _peak(c, case, name) for c in ALWAYS})


def _peak(contestant: str, case: Case, name: str) -> int:
    with Worker(contestant, case, name) as worker:
        peak: int = worker.take(1)["peak"]
        return peak


def _title(workload: Workload) -> str:
    """Return the title without the batch, which varies here."""
    return ", ".join(part for part in workload.title.split(", ") if "batch " not in part)


def report(points: list[Point]) -> str:
    """Return the table."""
    lines = ["# Memory against the batch: the most a process held, in MB", ""]
    lines += [f"{machine.described()}.", ""]
    lines += [f"| workload | batch | {' | '.join(TITLES[c] for c in ALWAYS)} | share |"]
    lines += ["| --- | ---: | ---: | ---: | ---: |"]
    for point in points:
        peaks = [point.peaks[c] / 1e6 for c in ALWAYS]
        cells = " | ".join(f"{peak:.0f}" for peak in peaks)
        lines += [
            f"| {_title(point.workload)} | {point.batch} | {cells} | {peaks[0] / peaks[1]:.2f} |"
        ]
    return "\n".join(lines) + "\n"


def draw(points: list[Point], path: Path) -> None:
    """Draw a panel for each workload: memory against the batch."""
    with figure(path) as drawn:
        drawn.set_size_inches(10, 3)
        for axes, name in zip(drawn.subplots(1, len(NAMES)), NAMES, strict=True):
            own = [point for point in points if point.workload.model == WORKLOADS[name].model]
            for c in ALWAYS:
                peaks = [point.peaks[c] / 1e6 for point in own]
                axes.plot([p.batch for p in own], peaks, "o-", color=COLOURS[c], label=TITLES[c])
            axes.set(xscale="log", xlabel="batch", ylim=(0, None))
            axes.set_title(_title(own[0].workload).split(",")[0], loc="left")
            axes.grid(visible=True, alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
        drawn.axes[0].set_ylabel("MB")
        drawn.axes[0].legend(frameon=False)


if __name__ == "__main__":
    main()

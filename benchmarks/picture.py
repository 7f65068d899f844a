"""The record as a picture: the time of a step beside PyTorch eager, workload by workload."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.contestants import TITLES
from benchmarks.race import Row
from benchmarks.record import Record
from benchmarks.workload import WORKLOADS
from bpgen.execute.figure import figure

COLOURS = {
    "bpgen": "#d1605e",
    "torch": "#808080",
    "torch_compile": "#4878a8",
    "jax": "#6a9f58",
    "sklearn": "#b8a040",
}


def draw(record: Record, path: Path) -> None:
    """Draw a panel for each number of threads; the same record gives the same bytes."""
    with figure(path) as drawn:
        drawn.set_size_inches(9, 0.6 + 0.36 * len(WORKLOADS))
        panels = drawn.subplots(1, len(record.threads), sharey=True, squeeze=False)[0]
        for axes, threads in zip(panels, record.threads, strict=True):
            rows = [row for row in record.of(threads) if "torch" in row.results]
            for place, row in enumerate(rows):
                for name, share in _shares(row).items():
                    axes.plot(share, place, "o", color=COLOURS[name], ms=5)
                for goal in WORKLOADS[row.workload].goals[:1]:
                    axes.plot(goal.bounds[threads], place, "|", color="black", ms=10)
            axes.set_yticks(range(len(rows)), [WORKLOADS[row.workload].title for row in rows])
            axes.set_xscale("log")
            axes.set_xlabel("time of a step, as a multiple of PyTorch eager's")
            axes.set_title("1 thread" if threads == 1 else f"{threads} threads", loc="left")
            axes.axvline(1, color=COLOURS["torch"], linewidth=0.8)
            axes.grid(visible=True, alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].invert_yaxis()
        for name, colour in COLOURS.items():
            panels[-1].plot([], [], "o", color=colour, label=TITLES[name])
        panels[-1].plot([], [], "|", color="black", ms=10, label="goal of bpgen")
        panels[-1].legend(frameon=False, fontsize=7)


def _shares(row: Row) -> dict[str, float]:
    """Return the time of each contestant as a multiple of PyTorch eager's."""
    base = row.results["torch"].seconds
    return {
        name: median(own / other for own, other in zip(result.seconds, base, strict=True))
        for name, result in row.results.items()
    }

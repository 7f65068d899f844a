"""The record as a picture: the time of a step beside PyTorch eager, workload by workload."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contestants import TITLES
from benchmarks.race import Row
from benchmarks.record import Record
from benchmarks.report import relative
from benchmarks.workload import WORKLOADS
from bpgen.execute.figure import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
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
        drawn.set_size_inches(10, 1 + 0.34 * len(WORKLOADS))
        panels = drawn.subplots(1, len(record.threads), sharey=True, squeeze=False)[0]
        for axes, threads in zip(panels, record.threads, strict=True):
            for row in record.of(threads):
                _draw_row(axes, row)
            axes.set_title("1 thread" if threads == 1 else f"{threads} threads", loc="left")
            axes.set_xscale("log")
            axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
            axes.set_xlabel("time of a step, as a multiple of PyTorch eager's")
            axes.axvline(1, color=COLOURS["torch"], linewidth=0.8)
            axes.grid(visible=True, alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_yticks(range(len(WORKLOADS)), [w.title for w in WORKLOADS.values()])
        panels[0].invert_yaxis()
        marks = [axes.plot([], [], "o", color=c, label=TITLES[n])[0] for n, c in COLOURS.items()]
        marks += axes.plot([], [], "|", color="black", ms=10, label="goal of bpgen")
        drawn.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False)


def _draw_row(axes: Axes, row: Row) -> None:
    place = list(WORKLOADS).index(row.workload)
    for name, share in _shares(row).items():
        axes.plot(share, place, "o", color=COLOURS[name], ms=5)
    bound = WORKLOADS[row.workload].goals[0].bounds[row.threads]
    axes.plot(bound, place, "|", color="black", ms=10)


def _shares(row: Row) -> dict[str, float]:
    """Return the time of each contestant as a multiple of PyTorch eager's."""
    base = row.results["torch"].times(row.threads)
    return {name: relative(result.times(row.threads), base) for name, result in row.results.items()}

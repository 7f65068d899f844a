"""How long a declaration takes to become a module, against depth and width.

    python -m benchmarks.scaling     writes results/scaling.md and scaling.svg

One perceptron, declared three ways: layer after layer, as one block that is repeated, and with
wider and wider layers. Loading runs the declaration, deriving finds every gradient, emitting lowers
them and writes the text; each is the least processor time of a few runs, so sympy remembers what it
has differentiated before.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import bpgen as bp
from benchmarks import machine
from bpgen.emit import module
from bpgen.execute.figure import figure
from bpgen.ir.derivation import Derivation
from bpgen.lower import lower
from bpgen.model import Model

RESULTS, REPEATS = Path(__file__).parent / "results", 3
DECLARED = '''"""A perceptron."""
import bpgen as bp
from bpgen.activations import tanh
from bpgen.layers import linear
from bpgen.losses import mean_squared_error
from bpgen.optimizers import adam


def block(h):
    return tanh(linear(h, {width}, name="layer"))


x, y = bp.input("x", {width}), bp.input("y", {width})
h = x
{body}
model = bp.Model(mean_squared_error(h, y), {{"h": h}}, adam())
'''
LISTED = 'for depth in range({depth}):\n    h = tanh(linear(h, {width}, name=f"layer{{depth}}"))'
REPEATED = "h = bp.repeat(block, {depth}, h)"


@dataclass(frozen=True, slots=True)
class Series:
    """A way to declare the network, and the sizes that are tried: depth and width."""

    title: str
    body: str
    sizes: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """What one size comes to: seconds, and lines of the module."""

    depth: int
    width: int
    load: float
    derive: float
    emit: float
    lines: int


SERIES = (
    Series("layer after layer", LISTED, ((3, 64), (10, 64), (30, 64), (100, 64), (300, 64))),
    Series("one block, repeated", REPEATED, ((3, 64), (30, 64), (300, 64), (3000, 64))),
    Series("three layers, wider", LISTED, ((3, 16), (3, 256), (3, 4096), (3, 65536))),
)


def main() -> None:
    """Measure all sizes, and report."""
    with tempfile.TemporaryDirectory() as folder:
        found = {series: list(_points(series, Path(folder))) for series in SERIES}
    (RESULTS / "scaling.md").write_text(report(found), encoding="utf-8")
    draw(found, RESULTS / "scaling.svg")


def _emitted(derivation: Derivation, model: Model) -> str:
    return module(lower(derivation, model.optimizer), model.path.name)


def _points(series: Series, folder: Path) -> Iterator[Point]:
    for depth, width in series.sizes:
        path = folder / "declared.py"
        body = series.body.format(depth=depth, width=width)
        path.write_text(DECLARED.format(width=width, body=body), encoding="utf-8")
        load, model = _least(partial(bp.load, path))
        derive, document = _least(model.derive)
        emit, text = _least(partial(_emitted, document.derivation, model))
        yield Point(depth, width, load, derive, emit, text.count("\n"))


def _least(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the least processor time of some runs, and what the last one gave."""
    seconds, given = [], None
    for _ in range(REPEATS):
        begin = time.process_time()
        given = work()
        seconds.append(time.process_time() - begin)
    return min(seconds), given


def report(found: dict[Series, list[Point]]) -> str:
    """Return the tables."""
    lines = ["# From a declaration to a module: seconds", "", f"{machine.described()}.", ""]
    lines += ["| declared | layers | width | load | derive | lower and emit | lines |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for series, points in found.items():
        for p in points:
            seconds = " | ".join(f"{second:.3f}" for second in (p.load, p.derive, p.emit))
            lines += [f"| {series.title} | {p.depth} | {p.width} | {seconds} | {p.lines} |"]
    return "\n".join(lines) + "\n"


def draw(found: dict[Series, list[Point]], path: Path) -> None:
    """Draw a panel for each series: seconds against what grows."""
    with figure(path) as drawn:
        drawn.set_size_inches(9, 3)
        for axes, (series, points) in zip(
            drawn.subplots(1, len(found), sharey=True), found.items(), strict=True
        ):
            deeper = points[0].depth != points[-1].depth
            sizes = [p.depth if deeper else p.width for p in points]
            for part, colour in (("load", "#808080"), ("derive", "#4878a8"), ("emit", "#d1605e")):
                axes.plot(sizes, [getattr(p, part) for p in points], "o-", color=colour, label=part)
            axes.set(xscale="log", yscale="log", title=series.title)
            axes.set_xlabel("layers" if deeper else "width")
            axes.grid(visible=True, alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
        drawn.axes[0].set_ylabel("seconds")
        drawn.axes[0].legend(frameon=False)


if __name__ == "__main__":
    main()

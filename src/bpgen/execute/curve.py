"""Draw the curve of a training: loss, and accuracy where there is one, over epochs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bpgen.execute.figure import figure
from bpgen.execute.history import Epoch, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TRAIN, _VALIDATION = "#4878a8", "#d1605e"


def draw(path: Path, epochs: Sequence[Epoch], *, title: str) -> None:
    """Write the curve of `epochs` to `path` as SVG; the same epochs give the same bytes."""
    panels = 1 if epochs[0].validation.accuracy is None else 2
    with figure(path) as drawn:
        drawn.set_size_inches(4.5 * panels, 3)
        drawn.suptitle(title)
        axes = drawn.subplots(1, panels, squeeze=False)[0]
        _panel(axes[0], epochs, "loss")
        if _is_positive(epochs):
            axes[0].set_yscale("log")
        if panels == 2:
            _panel(axes[1], epochs, "accuracy")


def _panel(axes: Axes, epochs: Sequence[Epoch], quantity: str) -> None:
    numbers = [epoch.number for epoch in epochs]
    for label, colour, scores in (
        ("training", _TRAIN, [epoch.train for epoch in epochs]),
        ("validation", _VALIDATION, [epoch.validation for epoch in epochs]),
    ):
        values = [v for v in (_value(score, quantity) for score in scores) if v is not None]
        if values:
            axes.plot(numbers, values, color=colour, label=label, linewidth=1.5)
    axes.set_xlabel("epoch")
    axes.set_ylabel(quantity)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _value(score: Score, quantity: str) -> float | None:
    return score.loss if quantity == "loss" else score.accuracy


def _is_positive(epochs: Sequence[Epoch]) -> bool:
    return all(min(epoch.train.loss, epoch.validation.loss) > 0 for epoch in epochs)

"""Digits that were not trained on, each over what is left of it after sixteen numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bpgen.execute.load import Emitted
from bpgen.pictures import Arrays
from bpgen.pictures.variational_autoencoder import COLUMNS, mosaic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIRST, SECOND = slice(COLUMNS), slice(COLUMNS, 2 * COLUMNS)


def draw(figure: Figure, net: Emitted, params: Any, test: Arrays) -> str:
    """Show two rows of held-out digits, each over its reconstructions.

    Formula:
        explained = 1 - Σ (image - x)² / Σ (x - mean of x)², over held-out digits
    """
    x = test["x"]
    image = net.predict(params, x=x)["image"]
    figure.set_size_inches(6.4, 2.4)
    axes = figure.subplots(2, 1)
    for panel, rows in zip(axes, (FIRST, SECOND), strict=True):
        both = np.concatenate([x[rows], image[rows]])
        panel.imshow(mosaic(both), cmap="gray_r", vmin=0, vmax=1)
        panel.set_axis_off()
    axes[0].set_title("held-out digits, each over its reconstruction", loc="left")
    explained = 1 - np.sum((image - x) ** 2) / np.sum((x - x.mean(axis=0)) ** 2)
    return f"{explained:.0%} of the variance of held-out digits explained"

"""Digits as the variational autoencoder keeps them, and digits that it makes up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bpgen.execute.load import Emitted
from bpgen.pictures import Arrays

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS, ROWS = 16, 4  # of made-up digits
SIDE = 8


def draw(figure: Figure, net: Emitted, params: Any, test: Arrays) -> str:
    """Show held-out digits, each over its reconstruction, and below them decoded random codes.

    Formula:
        explained = 1 - Σ (image - x)² / Σ (x - mean of x)², over held-out digits
    """
    x = test["x"]
    image = net.predict(params, x=x)["image"]
    codes = np.random.default_rng(0).standard_normal((ROWS * COLUMNS, len(params.mean_b)))
    groups = {
        "held-out digits": x[:COLUMNS],
        "reconstructed from their mean codes": image[:COLUMNS],
        "decoded from random codes": decoded(params, codes),
    }
    figure.set_size_inches(6.4, 3.6)
    axes = figure.subplots(3, 1, height_ratios=[1, 1, ROWS])
    for panel, (title, images) in zip(axes, groups.items(), strict=True):
        panel.imshow(mosaic(images), cmap="gray_r", vmin=0, vmax=1)
        panel.set_title(title, loc="left")
        panel.set_axis_off()
    explained = 1 - np.sum((image - x) ** 2) / np.sum((x - x.mean(axis=0)) ** 2)
    bound, _ = net.loss_and_grad(params, x=x)
    return f"negative evidence bound {bound:.1f} nats, {explained:.0%} of the variance explained"


def decoded(params: Any, code: NDArray[Any]) -> NDArray[Any]:
    """Return the images that codes stand for.

    Formula:
        image = 1 / (1 + exp(-logits)),  logits = max(0, code dec_W + dec_b) pixels_W + pixels_b
    """
    hidden = np.maximum(0, code @ params.dec_W + params.dec_b)
    return np.asarray(1 / (1 + np.exp(-hidden @ params.pixels_W - params.pixels_b)))


def mosaic(images: NDArray[Any]) -> NDArray[Any]:
    """Return rows of images side by side as one image, with a line of white between them."""
    framed = np.pad(images.reshape(-1, COLUMNS, SIDE, SIDE), [(0, 0), (0, 0), (1, 1), (1, 1)])
    rows = len(framed)
    return framed.transpose(0, 2, 1, 3).reshape(rows * (SIDE + 2), COLUMNS * (SIDE + 2))

"""The causes that the mixture holds likely for each effect, and where their density is highest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bpgen.execute.load import Emitted
from bpgen.pictures import Arrays

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Grid = NDArray[np.float64]

EFFECTS, CAUSES = np.linspace(0, 1, 201), np.linspace(-0.1, 1.1, 481)
LIKELY = 0.2  # of the highest: a lower maximum of the density is no answer


def draw(figure: Figure, net: Emitted, params: Any, test: Arrays) -> str:
    """Show the density of t for each x, its modes, and held-out pairs."""
    found = density(net, params, EFFECTS, CAUSES)
    effect, cause = np.nonzero(modes(found))
    figure.set_size_inches(5, 4)
    axes = figure.subplots()
    extent = (EFFECTS[0], EFFECTS[-1], CAUSES[0], CAUSES[-1])
    axes.imshow(np.sqrt(found.T), cmap="Blues", origin="lower", extent=extent, aspect="auto")
    axes.plot(test["x"], test["t"], "o", color="#404040", ms=2, alpha=0.6, label="held-out pairs")
    axes.plot(EFFECTS[effect], CAUSES[cause], ".", color="#d1605e", ms=3, label="modes of p(t|x)")
    axes.set(xlabel="effect x", ylabel="cause t", xlim=extent[:2], ylim=extent[2:])
    axes.legend(frameon=False, loc="upper left")
    middle = modes(density(net, params, np.array([0.5]), CAUSES))[0]
    return f"x = 0.5 may come from t = {', '.join(f'{t:.2f}' for t in CAUSES[middle])}"


def density(net: Emitted, params: Any, effects: Grid, causes: Grid) -> Grid:
    """Return the density of each cause, given each effect.

    Formula:
        p(t|x) = Σ_j w_j exp(-(t - mean_j)² / (2 s_j²)) / (s_j √(2π)),
        w the softmax of logits, s = exp(log_scale)
    """
    out = net.predict(params, x=effects[:, None])
    weight = np.exp(out["logits"] - out["logits"].max(axis=1, keepdims=True))
    height = weight / weight.sum(axis=1, keepdims=True) / np.exp(out["log_scale"])
    z = (causes[:, None, None] - out["mean"]) / np.exp(out["log_scale"])
    parts = height * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return np.asarray(parts.sum(axis=2).T, np.float64)


def modes(found: Grid) -> NDArray[np.bool_]:
    """Return where a density, along the last axis, is likely and higher than on both sides."""
    inner = found[:, 1:-1]
    likely = inner > LIKELY * found.max(axis=1, keepdims=True)
    return np.pad(likely & (inner > found[:, :-2]) & (inner >= found[:, 2:]), [(0, 0), (1, 1)])

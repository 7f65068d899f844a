"""An inverse problem: of an effect x, which has several causes t, one is wanted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bpgen.generators import Arrays, Declared

NOISE = 0.1  # x is off by at most this


def inverse_problem(_inputs: Declared, *, rows: int = 2000, seed: int = 0) -> Arrays:
    """Draw causes t and what they lead to, x, to be read backwards.

    Formula:
        t uniform in 0 … 1,  u uniform in ±0.1,  x = t + 0.3 sin(2π t) + u

    Shapes: x[n,1], t[n,1], without a unit. Around x = 0.5 three different t lead to the same x.
    Source: Bishop 1994, Mixture density networks, eq. 38.
    """
    rng = np.random.default_rng(seed)
    t = rng.uniform(0, 1, (rows, 1))
    return {"x": effect(t) + rng.uniform(-NOISE, NOISE, (rows, 1)), "t": t}


def effect(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return x without its noise."""
    return np.asarray(t + 0.3 * np.sin(2 * np.pi * t))

"""Squares in the middle, sizes in the tails."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.losses.pairing import residual


def huber(prediction: bp.Tensor, target: bp.Tensor, *, delta: float = 1) -> bp.Tensor:
    """Average residuals that count as squares up to `delta`, and linearly beyond.

    Formula:
        r[…] = prediction[…] - target[…]
        L    = mean of  r²/2 if |r| ≤ delta, else delta (|r| - delta/2)

    Shapes: prediction[…], target[…] -> L.
    Units: `delta` is in units of the target.
    Errors: ShapeError if the two have different extents; OptionError if `delta` is not positive.
    Source: Huber 1964, Robust estimation of a location parameter.
    """
    limit = bp.option("`delta`", delta, above=0)
    tensor = residual("huber", prediction, target)
    r = tensor[tensor.indices]
    left = bp.where(r < -limit, -limit * (r + limit / 2), r**2 / 2)
    entry = bp.where(r > limit, limit * (r - limit / 2), left)
    return bp.define(bp.Auto("huber", always=False), (), bp.mean(entry, over=tensor.indices))

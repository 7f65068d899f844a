"""The largest entry of each channel."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.layers.demands import needed_axes


def global_max_pool(x: bp.Tensor) -> bp.Tensor:
    """Take the largest entry of each channel over all its positions; a tie goes to the first.

    Formula:
        pooled[n,c] = max of x[n,c,…] over all further axes

    Shapes: x[n,c,…] -> pooled[n,c].
    Errors: ShapeError if `x` has no axis after its channels.
    Source: Oquab, Bottou, Laptev & Sivic 2015, Is object localization for free?, section 3.
    """
    n, c, *rest = at = needed_axes(x, "global_max_pool", "x[n,c,h]")
    return bp.define(bp.Auto("pooled"), (n, c), bp.max(x[at], over=rest))

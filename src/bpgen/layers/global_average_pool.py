"""The mean of each channel."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.layers.demands import needed_axes


def global_average_pool(x: bp.Tensor) -> bp.Tensor:
    """Average each channel over all its positions.

    Formula:
        pooled[n,c] = mean of x[n,c,…] over all further axes

    Shapes: x[n,c,…] -> pooled[n,c].
    Errors: ShapeError if `x` has no axis after its channels.
    Source: Lin, Chen & Yan 2013, arXiv:1312.4400, section 3.2.
    """
    n, c, *rest = at = needed_axes(x, "global_average_pool", "x[n,c,h]")
    return bp.define(bp.Auto("pooled"), (n, c), bp.mean(x[at], over=rest))

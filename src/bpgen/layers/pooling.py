"""What pooling layers share: the entries of a window, and its indices."""

from __future__ import annotations

from typing import Any

from bpgen import declare as bp
from bpgen.layers.spatial import PerAxis, Sliding, entries, spatial_axes


def windows(
    x: bp.Tensor,
    layer: str,
    outside: Any,
    *,
    kernel: PerAxis,
    stride: PerAxis | None,
    padding: PerAxis,
    dilation: PerAxis = 1,
) -> tuple[bp.Formula, tuple[bp.Index, ...], tuple[bp.Index, ...]]:
    """Return what a window reads of `x`, or `outside` beyond it; the result's axes, the window's.

    Errors: ShapeError, OptionError.
    """
    axes = spatial_axes(x, layer)
    slide = Sliding.of(
        layer, axes, kernel=kernel, stride=stride, padding=padding, dilation=dilation
    )
    slide.check_inside(layer)
    window = slide.window(*x.indices)
    positions = slide.positions(layer, *x.indices, *window)
    at = (*x.indices[:2], *slide.read(positions, window))
    return bp.pad(x[at], outside), (*x.indices[:2], *positions), entries(window)[1]

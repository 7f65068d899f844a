"""The largest entry of each window."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.layers.pooling import pooled
from bpgen.layers.spatial import PerAxis


def max_pool(
    x: bp.Tensor,
    kernel: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
) -> bp.Tensor:
    """Take the largest entry of each window, in each channel; a tie goes to the first.

    Formula:
        y[n,c,h,w] = max over u, v of x[n, c, h′ + dilation u, w′ + dilation v],
        h′ = stride h - padding, w′ = stride w - padding, where x is -∞ outside its axes

    Shapes: x[n,c,h], x[n,c,h,w] or x[n,c,t,h,w] -> y, along each axis
    (extent + 2 padding - dilation (kernel - 1) - 1) // stride + 1 positions. `stride` is the kernel
    unless given; each keyword is one number, or one for each axis.
    Errors: ShapeError if `x` has other axes, the window is larger than an axis with its padding, or
    the padding is more than half of the window; OptionError if a number is out of range.
    Source: Riesenhuber & Poggio 1999, Hierarchical models of object recognition in cortex.
    """
    return pooled(
        x,
        "max_pool",
        bp.max,
        -sympy.oo,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
    )

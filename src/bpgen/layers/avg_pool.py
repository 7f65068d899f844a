"""The mean of each window."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.layers.pooling import pooled
from bpgen.layers.spatial import PerAxis


def avg_pool(
    x: bp.Tensor,
    kernel: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
) -> bp.Tensor:
    """Average each window, in each channel; zeros of the padding count.

    Formula:
        y[n,c,h,w] = mean over u, v of x[n, c, stride h + u - padding, stride w + v - padding],
        where x is 0 outside its axes

    Shapes: x[n,c,h], x[n,c,h,w] or x[n,c,t,h,w] -> y, along each axis
    (extent + 2 padding - kernel) // stride + 1 positions. `stride` is the kernel unless given; each
    keyword is one number, or one for each axis.
    Errors: ShapeError if `x` has other axes, the kernel is larger than an axis with its padding, or
    the padding is more than half of the kernel; OptionError if a number is out of range.
    Source: LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning applied to document
    recognition, section II.B.
    """
    return pooled(x, "avg_pool", bp.mean, 0, kernel=kernel, stride=stride, padding=padding)

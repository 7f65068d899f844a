"""What pooling layers share: windows of one axis after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bpgen import declare as bp
from bpgen.layers.spatial import PerAxis, Sliding, spatial_axes

Pool = Callable[[bp.Formula, bp.Index], bp.Formula]


def pooled(
    x: bp.Tensor,
    layer: str,
    pool: Pool,
    outside: Any,
    *,
    kernel: PerAxis,
    stride: PerAxis | None,
    padding: PerAxis,
    dilation: PerAxis = 1,
) -> bp.Tensor:
    """Return `pool` of the entries of each window; beyond the tensor stands `outside`.

    A window is pooled along its last axis first: what windows share is computed once.

    Formula:
        row[n,c,h,w] = pool over v of x[n, c, h, stride w + dilation v - padding]
        y[n,c,h,w]   = pool over u of row[n, c, stride h + dilation u - padding, w]

    Errors: ShapeError, OptionError.
    """
    slide = Sliding.of(
        layer,
        spatial_axes(x, layer),
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
    )
    slide.check_inside(layer)
    window = slide.window(*x.indices)
    positions = slide.positions(layer, *x.indices, *window)
    reads = zip(positions, window, slide.read(positions, window), strict=True)
    for place, (h, u, read) in reversed(list(enumerate(reads, start=2))):
        before, after = x.indices[:place], x.indices[place + 1 :]
        entry = bp.pad(x[(*before, read, *after)], outside)
        if u.extent.value != 1:
            entry = pool(entry, u)
        elif read == x.indices[place]:
            continue
        x = bp.define(bp.Auto("pooled"), (*before, h, *after), entry)
    return x

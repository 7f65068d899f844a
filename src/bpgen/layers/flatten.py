"""The reshape of an example to a row of numbers."""

from __future__ import annotations

import math

from bpgen import declare as bp
from bpgen.layers.linear import last_axis


def flatten(x: bp.Tensor) -> bp.Tensor:
    """Lay all axes but the batch out as one, the last axis fastest.

    Formula:
        flat[n,d] = x[n, d // (H W) % C, d // W % H, d % W],  D = C H W

    Shapes: x[n,c,h,w] -> flat[n,d], and so for any number of axes; x[n,d] stays as it is.
    Errors: ShapeError if `x` has no axis but the batch.
    """
    n, *rest = last_axis(x, "flatten")
    axes = tuple(rest)
    if len(axes) == 1:
        return x
    d = bp.fresh_index(math.prod(i.extent.value or 0 for i in axes), "d", *x.indices)
    digits = [bp.Digit(d, bp.size(axes[k + 1 :]), i.extent) for k, i in enumerate(axes)]
    return bp.define(bp.Auto("flat"), (n, d), x[(n, *digits)])

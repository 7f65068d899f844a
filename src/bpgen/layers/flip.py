"""An axis read backwards."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.layers.axis_number import axis_at


def flip(x: bp.Tensor, axis: int = -1) -> bp.Tensor:
    """Read an axis from its end.

    Formula:
        y[…,h] = x[…, H - 1 - h]

    Shapes: y has the axes of x. `axis` counts as in numpy; 0 is the batch.
    Errors: ShapeError if there is no such axis.
    """
    place = axis_at(x, "flip", axis)
    h = x.indices[place]
    at = (*x.indices[:place], (h.extent.value or 0) - 1 - h, *x.indices[place + 1 :])
    return bp.define(bp.Auto("flipped"), x.indices, x[at])

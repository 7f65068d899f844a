"""What is not on the right side by a margin."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.losses.pairing import paired


def hinge(prediction: bp.Tensor, target: bp.Tensor, *, margin: float = 1) -> bp.Tensor:
    """Average how far predictions are from being right by `margin`; targets are -1 and 1.

    Formula:
        L = mean max(margin - target[…] prediction[…], 0)

    Shapes: prediction[…], target[…] -> L.
    Units: `margin` is in units of the prediction.
    Errors: ShapeError if the two have different extents; OptionError if `margin` is not positive.
    Source: Cortes & Vapnik 1995, Support-vector networks, section 3.
    """
    width = bp.option("`margin`", margin, above=0)
    at = paired("hinge", prediction, target)
    short = bp.define(bp.Auto("short", always=False), at, width - target[at] * prediction[at])
    entry = bp.where(short[at] > 0, short[at], 0)
    return bp.define(bp.Auto("hinge", always=False), (), bp.mean(entry, over=at))

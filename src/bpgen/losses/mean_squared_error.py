"""The mean of squared residuals."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.losses.pairing import residual


def mean_squared_error(prediction: bp.Tensor, target: bp.Tensor) -> bp.Tensor:
    """Average the squares of the residuals.

    Formula:
        r[…] = prediction[…] - target[…]
        L    = mean r[…]²

    Shapes: prediction[…], target[…] -> L.
    Errors: ShapeError if the two have different extents.
    Source: the exponent of the normal density, Bishop 2006, Pattern Recognition and Machine
    Learning, eq. 3.12.
    """
    r = residual("mean_squared_error", prediction, target)
    return bp.define(
        bp.Auto("mean_squared_error", always=False), (), bp.mean(r[r.indices] ** 2, over=r.indices)
    )

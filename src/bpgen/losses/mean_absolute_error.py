"""The mean of the sizes of residuals."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.losses.pairing import residual


def mean_absolute_error(prediction: bp.Tensor, target: bp.Tensor) -> bp.Tensor:
    """Average the sizes of the residuals; at a residual of 0 the derivative is 0.

    Formula:
        r[…] = prediction[…] - target[…]
        L    = mean |r[…]|

    Shapes: prediction[…], target[…] -> L.
    Errors: ShapeError if the two have different extents.
    Source: the exponent of the Laplace density, Murphy 2012, Machine Learning: a Probabilistic
    Perspective, section 7.4.
    """
    r = residual("mean_absolute_error", prediction, target)
    return bp.define(
        bp.Auto("mean_absolute_error", always=False),
        (),
        bp.mean(sympy.Abs(r[r.indices]), over=r.indices),
    )

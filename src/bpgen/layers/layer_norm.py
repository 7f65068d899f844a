"""The normalisation of each example by its own mean and variance."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.layers.linear import last_axis


def layer_norm(x: bp.Tensor, *, eps: float = 1e-5, name: str | None = None) -> bp.Tensor:
    """Normalise the last axis of `x` to zero mean and unit variance, then scale and shift.

    Formula:
        mean[…] = Σ_d x[…,d] / D
        var[…]  = Σ_d (x[…,d] - mean[…])² / D
        rstd[…] = 1 / √(var[…] + eps)
        xhat[…,d] = (x[…,d] - mean[…]) rstd[…]
        y[…,d]  = xhat[…,d] gain[d] + shift[d]

    Shapes: x[…,d] -> y[…,d]; parameters `name_gain[d]` = 1, `name_shift[d]` = 0.
    Units: `eps` is in units of x².
    Errors: ShapeError if `x` has no axis but the batch; OptionError if `eps` is not positive.
    Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450, eq. 3.
    """
    bp.option("`eps`", eps, above=0)
    at = last_axis(x, "layer_norm")
    *outer, d = at
    row = tuple(outer)
    gain = bp.parameter(f"{name}_gain" if name else bp.Auto("gain"), d, init=bp.init.constant(1))
    shift = bp.parameter(f"{name}_shift" if name else bp.Auto("shift"), d, init=bp.init.zeros())
    mean = bp.define(bp.Auto("mean"), row, bp.mean(x[at], over=d))
    var = bp.define(bp.Auto("var"), row, bp.mean((x[at] - mean[row]) ** 2, over=d))
    rstd = bp.define(bp.Auto("rstd"), row, 1 / sympy.sqrt(var[row] + eps))
    xhat = bp.define(bp.Auto("xhat"), at, (x[at] - mean[row]) * rstd[row])
    return bp.define(bp.Auto("y"), at, xhat[at] * gain[d] + shift[d])

"""The normalisation of each example by its own root mean square."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.layers.linear import last_axis


def rms_norm(x: bp.Tensor, *, eps: float = 1e-5, name: str | None = None) -> bp.Tensor:
    """Normalise the last axis of `x` to unit mean square, then scale.

    Formula:
        ms[…]   = Σ_d x[…,d]² / D
        rrms[…] = 1 / √(ms[…] + eps)
        xhat[…,d] = x[…,d] rrms[…]
        y[…,d]  = xhat[…,d] gain[d]

    Shapes: x[…,d] -> y[…,d]; parameter `name_gain[d]` = 1.
    Units: `eps` is in units of x².
    Errors: ShapeError if `x` has no axis but the batch; OptionError if `eps` is not positive.
    Source: Zhang & Sennrich 2019, arXiv:1910.07467, eq. 4.
    """
    bp.option("`eps`", eps, above=0)
    at = last_axis(x, "rms_norm")
    *outer, d = at
    row = tuple(outer)
    gain = bp.parameter(f"{name}_gain" if name else bp.Auto("gain"), d, init=bp.init.constant(1))
    ms = bp.define(bp.Auto("ms"), row, bp.mean(x[at] ** 2, over=d))
    rrms = bp.define(bp.Auto("rrms"), row, 1 / sympy.sqrt(ms[row] + eps))
    xhat = bp.define(bp.Auto("xhat"), at, x[at] * rrms[row])
    return bp.define(bp.Auto("y"), at, xhat[at] * gain[d])

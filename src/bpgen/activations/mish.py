"""The mish function."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.activations.softplus import softplus
from bpgen.activations.tanh import tanh


def mish(x: bp.Tensor) -> bp.Tensor:
    """Weigh an entry by the hyperbolic tangent of its softplus.

    Formula:
        t = tanh(softplus(x))
        y = x t

    Source: Misra 2019, arXiv:1908.08681, eq. 1.
    """
    t = tanh(softplus(x))
    return bp.define(bp.Auto("mish"), x.indices, x[x.indices] * t[x.indices])

"""The Gaussian error linear unit, approximated by a hyperbolic tangent."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.activations.tanh import tanh


def gelu_tanh(x: bp.Tensor) -> bp.Tensor:
    """Weigh an entry by nearly the share of a standard normal distribution that lies below it.

    Formula:
        u = √(2/π) (x + 0.044715 x³)
        t = tanh(u)
        y = x (1 + t) / 2

    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2.
    """
    z = x[x.indices]
    u = bp.define(bp.Auto("u"), x.indices, sympy.sqrt(2 / sympy.pi) * (z + 0.044715 * z**3))
    t = tanh(u)
    return bp.define(bp.Auto("gelu"), x.indices, z * (1 + t[x.indices]) / 2)

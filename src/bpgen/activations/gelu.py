"""The Gaussian error linear unit."""

from __future__ import annotations

import sympy

from bpgen import declare as bp


def gelu(x: bp.Tensor) -> bp.Tensor:
    """Weigh an entry by the share of a standard normal distribution that lies below it.

    Formula:
        Phi = (1 + erf(x / √2)) / 2
        y   = x Phi

    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2.
    """
    z = x[x.indices]
    share = bp.define(bp.Auto("Phi"), x.indices, (1 + sympy.erf(z / sympy.sqrt(2))) / 2)
    return bp.define(bp.Auto("gelu"), x.indices, z * share[x.indices])

"""The exponential linear unit."""

from __future__ import annotations

from sympy.codegen.cfunctions import expm1

from bpgen import declare as bp
from bpgen.activations.relu import relu


@bp.activation
def elu(z: bp.Formula, alpha: float = 1) -> bp.Formula:
    """Keep what is positive and bend the rest towards -alpha; the derivative at 0 is `alpha`.

    Formula:
        y = max(z, 0) + alpha (exp(min(z, 0)) - 1)

    Source: Clevert, Unterthiner & Hochreiter 2015, arXiv:1511.07289, section 3.
    """
    negative_part = bp.where(z > 0, 0, z)
    return relu(z) + alpha * expm1(negative_part)

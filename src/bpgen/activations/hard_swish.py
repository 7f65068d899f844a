"""The piecewise polynomial swish."""

from __future__ import annotations

from bpgen import declare as bp


@bp.activation
def hard_swish(z: bp.Formula) -> bp.Formula:
    """Join 0 and the identity by a parabola between -3 and 3; the derivative is 0 at -3 and 1 at 3.

    Formula:
        y = 0 if z ≤ -3, z if z ≥ 3, else z (z + 3) / 6

    Source: Howard et al. 2019, arXiv:1905.02244, section 5.2.
    """
    return bp.where(z > -3, bp.where(z < 3, z * (z + 3) / 6, z), 0)

"""The piecewise linear logistic function."""

from __future__ import annotations

from bpgen import declare as bp


@bp.activation
def hard_sigmoid(z: bp.Formula) -> bp.Formula:
    """Rise from 0 at -3 to 1 at 3 along a line; the derivative at both ends is 0.

    Formula:
        y = 0 if z ≤ -3, 1 if z ≥ 3, else (z + 3) / 6

    Source: Courbariaux, Bengio & David 2015, arXiv:1511.00363, eq. 3; with the ends of Howard et
    al. 2019, arXiv:1905.02244, section 5.2.
    """
    return bp.where(z > -3, bp.where(z < 3, (z + 3) / 6, 1), 0)

"""The softsign function."""

from __future__ import annotations

from bpgen import declare as bp


@bp.activation
def softsign(z: bp.Formula) -> bp.Formula:
    """Map the real line onto the numbers between -1 and 1, with tails that fall as a power.

    Formula:
        y = z / (1 + |z|)

    Source: Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural
    networks, section 3.3.
    """
    size = bp.where(z > 0, z, -z)
    return z / (1 + size)

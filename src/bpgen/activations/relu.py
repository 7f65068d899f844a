"""The rectified linear unit."""

from __future__ import annotations

from bpgen import declare as bp


@bp.activation
def relu(z: bp.Formula) -> bp.Formula:
    """Keep what is positive; relu′(0) = 0.

    Formula:
        y = z if z > 0, else 0

    Source: Nair & Hinton 2010, Rectified linear units improve restricted Boltzmann machines,
    section 2.
    """
    return bp.where(z > 0, z, 0)

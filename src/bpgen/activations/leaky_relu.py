"""The rectified linear unit with a leak."""

from __future__ import annotations

from bpgen import declare as bp


@bp.activation
def leaky_relu(z: bp.Formula, slope: float = 0.01) -> bp.Formula:
    """Keep what is positive and let a share of the rest pass; the derivative at 0 is `slope`.

    Formula:
        y = z if z > 0, else slope z

    Source: Maas, Hannun & Ng 2013, Rectifier nonlinearities improve neural network acoustic models,
    section 2.
    """
    return bp.where(z > 0, z, slope * z)

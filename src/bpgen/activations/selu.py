"""The self-normalising exponential linear unit."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.activations.elu import elu

ALPHA = 1.6732632423543772
SCALE = 1.0507009873554805


@bp.activation
def selu(z: bp.Formula) -> bp.Formula:
    """Bend and scale so that mean 0 and variance 1 are kept from layer to layer.

    Formula:
        y = 1.0507… elu(z, alpha = 1.6732…)

    Source: Klambauer, Unterthiner, Mayr & Hochreiter 2017, arXiv:1706.02515, eq. 2; the constants
    are those of its eq. 14.
    """
    return SCALE * elu(z, ALPHA)

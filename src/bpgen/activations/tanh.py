"""The hyperbolic tangent."""

from __future__ import annotations

import sympy

from bpgen import declare as bp


@bp.activation
def tanh(z: bp.Formula) -> bp.Formula:
    """Map the real line onto the numbers between -1 and 1.

    Formula:
        y = tanh(z)

    Source: LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 4.4.
    """
    return sympy.tanh(z)

"""The sine."""

from __future__ import annotations

import sympy

from bpgen import declare as bp


@bp.activation
def sine(z: bp.Formula, frequency: float = 1) -> bp.Formula:
    """Wave; a network of sines with `frequency` 30 in its first layer represents images and sounds.

    Formula:
        y = sin(frequency z)

    Source: Sitzmann, Martel, Bergman, Lindell & Wetzstein 2020, arXiv:2006.09661, eq. 3.
    """
    return sympy.sin(frequency * z)

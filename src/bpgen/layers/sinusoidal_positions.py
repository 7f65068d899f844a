"""Positions as waves of many lengths, without a parameter."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.layers.demands import needed_axes


def sinusoidal_positions(x: bp.Tensor, *, longest: float = 10000) -> bp.Tensor:
    """Add to each position of a sequence the sines and cosines that belong to it.

    Formula:
        even[d]  = d - d % 2
        angle[t,d] = t / longest^(even[d] / D)
        wave[t,d]  = sin angle[t,d] where d is even, cos angle[t,d] where it is odd
        y[…,t,d] = x[…,t,d] + wave[t,d]

    Shapes: x[…,t,d] -> y[…,t,d].
    Units: `longest` times 2π is the longest wave, in positions.
    Errors: ShapeError if `x` has no axis for positions besides its last one; OptionError if
    `longest` is not above 1.
    Source: Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser & Polosukhin 2017,
    arXiv:1706.03762, section 3.5.
    """
    base = bp.option("`longest`", longest, above=1)
    at = needed_axes(x, "sinusoidal_positions", "x[n,t,d]")
    *_, t, d = at
    odd = bp.Digit(d, 1, 2)
    formula = t * sympy.exp(-sympy.log(base) * (d - odd) / d.extent)
    angle = bp.define(bp.Auto("angle"), (t, d), formula)
    choice = bp.where(odd < 1, sympy.sin(angle[t, d]), sympy.cos(angle[t, d]))
    wave = bp.define(bp.Auto("wave"), (t, d), choice)
    return bp.define(bp.Auto("y"), at, x[at] + wave[t, d])

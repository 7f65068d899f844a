"""Bells around centres that training moves."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.layers.linear import last_axis
from bpgen.layers.naming import called


def radial_basis(x: bp.Tensor, units: int, *, name: str | None = None) -> bp.Tensor:
    """Say how near `x` is to each of some centres.

    Formula:
        distance[…,h] = Σ_d (x[…,d] - centre[d,h])²
        y[…,h]        = exp(-distance[…,h] exp(2 sharpness[h]) / 2)

    Shapes: x[…,d] -> y[…,h]; parameters `name_centre[d,h]` (normal, deviation 1),
    `name_sharpness[h]` = 0: the logarithm of one over the width of the bell.
    Errors: ShapeError if `x` has no axis but the batch.
    Source: Broomhead & Lowe 1988, Multivariable functional interpolation and adaptive networks.
    """
    *outer, d = at = last_axis(x, "radial_basis")
    h = bp.fresh_index(units, "h", *at)
    centre = bp.parameter(called(name, "centre"), d, h, init=bp.init.normal())
    sharpness = bp.parameter(called(name, "sharpness"), h, init=bp.init.zeros())
    to = (*outer, h)
    squares = bp.sum((x[at] - centre[d, h]) ** 2, over=d)
    distance = bp.define(called(name, "distance"), to, squares)
    bell = sympy.exp(-distance[to] * sympy.exp(2 * sharpness[h]) / 2)
    return bp.define(bp.Auto("y"), to, bell)

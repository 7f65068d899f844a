"""Positions as a table of vectors that training changes."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.layers.demands import needed_axes
from bpgen.layers.naming import called


def learned_positions(x: bp.Tensor, *, name: str | None = None) -> bp.Tensor:
    """Add to each position of a sequence a vector of its own.

    Formula:
        y[…,t,d] = x[…,t,d] + W[t,d]

    Shapes: x[…,t,d] -> y[…,t,d]; parameter `name_W[t,d]` (normal, deviation 0.02).
    Errors: ShapeError if `x` has no axis for positions besides its last one.
    Source: Gehring, Auli, Grangier, Yarats & Dauphin 2017, arXiv:1705.03122, section 3.1.
    """
    at = needed_axes(x, "learned_positions", "x[n,t,d]")
    *_, t, d = at
    W = bp.parameter(called(name, "W"), t, d, init=bp.init.normal(0.02))
    return bp.define(bp.Auto("y"), at, x[at] + W[t, d])

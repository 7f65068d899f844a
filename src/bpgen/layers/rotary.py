"""Positions as rotations: pairs of features turn by an angle that grows with the position."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.errors import ShapeError
from bpgen.layers.demands import needed_axes


def rotary(x: bp.Tensor, *, base: float = 10000) -> bp.Tensor:
    """Turn each pair of features (2i, 2i+1) of position t by the angle t / base^(2i / K).

    Formula:
        angle[t,i]     = t base^(-2i / K)
        turn[t,i,g,f]  = cos angle[t,i] where g = f, -sin angle[t,i] where g < f, sin … where g > f
        pair[…,i,f]    = x[…, 2i + f]
        turned[…,i,g]  = Σ_f turn[t,i,g,f] pair[…,i,f]
        y[…, 2i + g]   = turned[…,i,g]

    The product of a turned query and a turned key depends on their distance alone.

    Shapes: x[n,t,d] -> y[n,t,d], or x[n,t,a,k] -> y[n,t,a,k] with heads a: positions are the axis
    after the batch, features the last one.
    Units: `base` times 2π is about the longest wave, in positions.
    Errors: ShapeError if `x` has no axis for positions, or an odd number of features; OptionError
    if `base` is not above 1.
    Source: Su, Lu, Pan, Murtadha, Wen & Liu 2021, arXiv:2104.09864, eqs. 14 and 15.
    """
    at = needed_axes(x, "rotary", "x[n,t,d]")
    return turned(x, at[1], base)


def turned(x: bp.Tensor, t: bp.Index, base: float) -> bp.Tensor:
    """Return `x` with the pairs of its last axis turned by the positions `t`, as `rotary` says."""
    longest = bp.option("`base`", base, above=1)
    *row, k = at = x.indices
    features = k.extent.value or 0
    if features % 2:
        raise ShapeError(
            f"rotary cannot pair the features of `{x.label}`",
            where=bp.here(),
            disagree=f"{x!r} has {k.extent} = {features}",
            rule="Features turn in pairs: their number is even, in attention that of each head.",
            way_out=f"Take {features + 1} features, or {features - 1}.",
        )
    i = bp.fresh_index(features // 2, "i", *at)
    f = bp.fresh_index(2, "f", *at, i)
    g = bp.fresh_index(2, "g", *at, i, f)
    angle = bp.define(
        bp.Auto("angle"), (t, i), t * sympy.exp(-2 * i * sympy.log(longest) / k.extent)
    )
    cosine, sine = sympy.cos(angle[t, i]), sympy.sin(angle[t, i])
    entry = bp.where(sympy.Eq(g, f), cosine, bp.where(g < f, -sine, sine))
    turn = bp.define(bp.Auto("turn"), (t, i, g, f), entry)
    pair = bp.define(bp.Auto("pair"), (*row, i, f), x[(*row, 2 * i + f)])
    result = bp.sum(turn[t, i, g, f] * pair[(*row, i, f)], over=f)
    turned = bp.define(bp.Auto("turned"), (*row, i, g), result)
    digits = (*row, bp.Digit(k, 2, i.extent), bp.Digit(k, 1, 2))
    return bp.define(bp.Auto("y"), at, turned[digits])

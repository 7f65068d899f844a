"""The normalisation of groups of channels by their own mean and variance."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.layers.demands import needed_axes, part
from bpgen.layers.naming import called


def group_norm(
    x: bp.Tensor, groups: int, *, eps: float = 1e-5, name: str | None = None
) -> bp.Tensor:
    """Normalise each group of channels of each example, then scale and shift each channel.

    Formula:
        u[n,g,r,…]  = x[n, g R + r, …], the channels c = g R + r in groups
        mean[n,g]   = mean of u[n,g,r,…] over r and all further axes
        var[n,g]    = mean of (u[n,g,r,…] - mean[n,g])²
        rstd[n,g]   = 1 / √(var[n,g] + eps)
        xhat[n,c,…] = (x[n,c,…] - mean[n, c // R]) rstd[n, c // R]
        y[n,c,…]    = xhat[n,c,…] gain[c] + shift[c]

    Shapes: x[n,c,…] -> y[n,c,…]; parameters `name_gain[c]` = 1, `name_shift[c]` = 0.
    Units: `eps` is in units of x².
    Errors: ShapeError if `groups` does not divide C, or `x` has no axis but the batch;
    OptionError if `eps` is not positive.
    Source: Wu & He 2018, arXiv:1803.08494, eqs. 1, 2 and 7.
    """
    bp.option("`eps`", eps, above=0)
    n, c, *rest = at = needed_axes(x, "group_norm", "x[n,c]")
    width = part("group_norm", "groups", c, groups)
    g = bp.fresh_index(groups, "g", *at)
    r = bp.fresh_index(width, "r", *at, g)
    gain = bp.parameter(called(name, "gain"), c, init=bp.init.constant(1))
    shift = bp.parameter(called(name, "shift"), c, init=bp.init.zeros())
    inside = (n, g, r, *rest)
    u = bp.define(bp.Auto("u"), inside, x[(n, g * r.extent + r, *rest)])
    xhat = standardised(u, (n, g), eps)
    digits = (n, bp.Digit(c, r.extent, g.extent), bp.Digit(c, 1, r.extent), *rest)
    joined = bp.define(bp.Auto("joined"), at, xhat[digits])
    return bp.define(bp.Auto("y"), at, joined[at] * gain[c] + shift[c])


def standardised(u: bp.Tensor, row: tuple[bp.Index, ...], eps: float) -> bp.Tensor:
    """Return `u` with mean 0 and variance 1 over all axes but `row`.

    Formula:
        mean[…] = mean of u,  var[…] = mean of (u - mean[…])²,  rstd[…] = 1 / √(var[…] + eps)
        xhat    = (u - mean[…]) rstd[…]
    """
    at = u.indices
    over = tuple(i for i in at if i not in row)
    mean = bp.define(bp.Auto("mean"), row, bp.mean(u[at], over=over))
    var = bp.define(bp.Auto("var"), row, bp.mean((u[at] - mean[row]) ** 2, over=over))
    rstd = bp.define(bp.Auto("rstd"), row, 1 / sympy.sqrt(var[row] + eps))
    return bp.define(bp.Auto("xhat"), at, (u[at] - mean[row]) * rstd[row])

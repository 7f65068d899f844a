"""The normalisation of each channel by the mean and variance of the batch."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.layers.demands import needed_axes
from bpgen.layers.naming import called


def batch_norm(
    x: bp.Tensor, *, momentum: float = 0.1, eps: float = 1e-5, name: str | None = None
) -> bp.Tensor:
    """Normalise each channel to zero mean and unit variance over the batch, then scale and shift.

    Formula:
        mean[c]     = mean of x[n,c,…] over n and all further axes: M values
        var[c]      = mean of (x[n,c,…] - mean[c])²
        rstd[c]     = 1 / √(var[c] + eps)
        xhat[n,c,…] = (x[n,c,…] - mean[c]) rstd[c]
        y[n,c,…]    = xhat[n,c,…] gain[c] + shift[c]
        name_mean[c] ← (1 - momentum) name_mean[c] + momentum mean[c], once a step
        name_var[c]  ← (1 - momentum) name_var[c] + momentum var[c] M / (M - 1)

    In prediction mean[c] is name_mean[c], and var[c] is name_var[c]. Of a single value (M = 1)
    there is no unbiased variance: it counts as 0, which is the biased one.

    Shapes: x[n,c,…] -> y[n,c,…]; parameters `name_gain[c]` = 1, `name_shift[c]` = 0; states
    `name_mean[c]` = 0, `name_var[c]` = 1.
    Units: `eps` is in units of x²; `momentum` is the share of a step in the running values.
    Errors: ShapeError if `x` has no axis but the batch; OptionError if `eps` is not positive, or
    `momentum` not above 0 and at most 1.
    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2.
    """
    bp.option("`eps`", eps, above=0)
    share = bp.option("`momentum`", momentum, above=0, at_most=1)
    _, c, *_ = at = needed_axes(x, "batch_norm", "x[n,c]")
    over = tuple(i for i in at if i != c)
    gain = bp.parameter(called(name, "gain"), c, init=bp.init.constant(1))
    shift = bp.parameter(called(name, "shift"), c, init=bp.init.zeros())
    running_mean = bp.state(called(name, "mean"), c, start=0)
    running_var = bp.state(called(name, "var"), c, start=1)
    mean = bp.define(bp.Auto("mean"), (c,), bp.mean(x[at], over=over), predict=running_mean[c])
    squares = bp.mean((x[at] - mean[c]) ** 2, over=over)
    var = bp.define(bp.Auto("var"), (c,), squares, predict=running_var[c])
    unbiased = var[c] * bp.size(over) / sympy.Max(bp.size(over) - 1, 1)
    bp.update(running_mean, (1 - share) * running_mean[c] + share * mean[c])
    bp.update(running_var, (1 - share) * running_var[c] + share * unbiased)
    rstd = bp.define(bp.Auto("rstd"), (c,), 1 / sympy.sqrt(var[c] + eps))
    xhat = bp.define(bp.Auto("xhat"), at, (x[at] - mean[c]) * rstd[c])
    return bp.define(bp.Auto("y"), at, xhat[at] * gain[c] + shift[c])

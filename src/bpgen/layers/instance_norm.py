"""The normalisation of each channel of each example by its own mean and variance."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.layers.demands import needed_axes
from bpgen.layers.group_norm import standardised
from bpgen.layers.naming import called


def instance_norm(x: bp.Tensor, *, eps: float = 1e-5, name: str | None = None) -> bp.Tensor:
    """Normalise each channel of each example, then scale and shift it.

    Formula:
        mean[n,c]   = mean of x[n,c,…] over all further axes
        var[n,c]    = mean of (x[n,c,…] - mean[n,c])²
        rstd[n,c]   = 1 / √(var[n,c] + eps)
        xhat[n,c,…] = (x[n,c,…] - mean[n,c]) rstd[n,c]
        y[n,c,…]    = xhat[n,c,…] gain[c] + shift[c]

    Shapes: x[n,c,…] -> y[n,c,…]; parameters `name_gain[c]` = 1, `name_shift[c]` = 0, which PyTorch
    has with affine=True.
    Units: `eps` is in units of x².
    Errors: ShapeError if `x` has no axis after its channels; OptionError if `eps` is not positive.
    Source: Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022, eq. 3.
    """
    bp.option("`eps`", eps, above=0)
    n, c, *_ = at = needed_axes(x, "instance_norm", "x[n,c,h]")
    gain = bp.parameter(called(name, "gain"), c, init=bp.init.constant(1))
    shift = bp.parameter(called(name, "shift"), c, init=bp.init.zeros())
    xhat = standardised(x, (n, c), eps)
    return bp.define(bp.Auto("y"), at, xhat[at] * gain[c] + shift[c])

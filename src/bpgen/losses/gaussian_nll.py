"""The negative log-likelihood of a normal distribution, given its mean and variance."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.losses.pairing import paired, residual


def gaussian_nll(
    mean: bp.Tensor,
    target: bp.Tensor,
    *,
    variance: bp.Tensor,
    full: bool = False,
    eps: float = 1e-6,
) -> bp.Tensor:
    """Compare targets with the mean and the variance they are expected to have.

    Formula:
        v[…] = max(variance[…], eps)
        r[…] = mean[…] - target[…]
        L    = mean ( log v[…] + r[…]² / v[…] ) / 2

    With `full` the constant log(2π)/2 is added.

    Shapes: mean[…], target[…], variance[…] -> L.
    Units: `eps` and `variance` are in units of target². Below `eps` the variance has no effect,
    and its cotangent is 0.
    Errors: ShapeError if two of the three have different extents; OptionError if `eps` is not
    positive.
    Source: Nix & Weigend 1994, Estimating the mean and variance of the target probability
    distribution.
    """
    bp.option("`eps`", eps, above=0)
    at = paired("gaussian_nll", mean, variance)
    clamped = bp.where(variance[at] > eps, variance[at], eps)
    v = bp.define(bp.Auto("v", always=False), at, clamped)
    r = residual("gaussian_nll", mean, target)
    entry = sympy.log(v[at]) + r[at] ** 2 / v[at]
    constant = sympy.log(2 * sympy.pi) / 2 if full else 0
    return bp.define(
        bp.Auto("gaussian_nll", always=False), (), bp.mean(entry / 2 + constant, over=at)
    )

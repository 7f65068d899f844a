"""The negative log-likelihood of counts, given the logarithm of their rate."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.losses.pairing import paired


def poisson_nll(log_rate: bp.Tensor, target: bp.Tensor) -> bp.Tensor:
    """Compare counts with the logarithm of the rate they are expected at.

    Formula:
        L = mean ( exp(log_rate[…]) - target[…] log_rate[…] )

    Shapes: log_rate[…], target[…] -> L. The term log(target!) is dropped: it does not depend on
    the rate.
    Errors: ShapeError if the two have different extents.
    Source: -log of the Poisson density, Murphy 2012, Machine Learning: a Probabilistic
    Perspective, section 2.3.3.
    """
    at = paired("poisson_nll", log_rate, target)
    entry = sympy.exp(log_rate[at]) - target[at] * log_rate[at]
    return bp.define(bp.Auto("poisson_nll", always=False), (), bp.mean(entry, over=at))

"""Gradient descent by the sign of a running mean."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.declare.rule import Rate, g, lr, state, theta, update
from bpgen.ir.optimizer import Optimizer
from bpgen.optimizers.average import running_mean


def lion(
    rate: Rate = 1e-4,
    *,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
    clip: float | None = None,
) -> Optimizer:
    """Step by lr up or down, as a mean of recent gradients says; sign(0) = 0.

    Formula:
        c = beta1 m + (1 - beta1) g
        θ ← θ - lr (sign(c) + weight_decay θ)
        m ← beta2 m + (1 - beta2) g

    Units: `rate` is lr, in units of θ; `clip` is in units of g.
    Errors: OptionError if `rate` or `clip` is not positive, a beta not at least 0 and below 1, or
    `weight_decay` negative.
    Source: Chen et al. 2023, arXiv:2302.06675, algorithm 2.
    """
    bp.option("`weight_decay`", weight_decay, at_least=0)
    m = state("m")
    direction = sympy.sign(running_mean("beta1", beta1, m, g)) + weight_decay * theta
    mean = running_mean("beta2", beta2, m, g)
    return update("lion", rate, (theta, theta - lr * direction), (m, mean), clip=clip)

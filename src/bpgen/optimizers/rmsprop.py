"""Gradient descent with a rate for every parameter, by its recent squared gradients."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.declare.rule import Rate, g, lr, state, theta, update
from bpgen.ir.optimizer import Optimizer
from bpgen.optimizers.average import running_mean


def rmsprop(
    rate: Rate = 0.01, *, alpha: float = 0.99, eps: float = 1e-8, clip: float | None = None
) -> Optimizer:
    """Step in units of the gradient's recent root mean square.

    Formula:
        v ← alpha v + (1 - alpha) g²
        θ ← θ - lr g / (√v + eps)

    Units: `rate` is lr, in units of θ; `eps` and `clip` are in units of g.
    Errors: OptionError if `rate`, `eps` or `clip` is not positive, or `alpha` not at least 0 and
    below 1.
    Source: Tieleman & Hinton 2012, COURSERA: Neural networks for machine learning, lecture 6.5.
    """
    bp.option("`eps`", eps, above=0)
    v = state("v")
    step = lr * g / (sympy.sqrt(v) + eps)
    mean = running_mean("alpha", alpha, v, g**2)
    return update("rmsprop", rate, (v, mean), (theta, theta - step), clip=clip)

"""Gradient descent with a rate for every parameter, by the sum of its squared gradients."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.declare.rule import Rate, g, lr, state, theta, update
from bpgen.ir.optimizer import Optimizer


def adagrad(rate: Rate = 0.01, *, eps: float = 1e-10, clip: float | None = None) -> Optimizer:
    """Step less where the gradient has been large.

    Formula:
        v ← v + g²
        θ ← θ - lr g / (√v + eps)

    Units: `rate` is lr, in units of θ; `eps` and `clip` are in units of g.
    Errors: OptionError if `rate`, `eps` or `clip` is not positive.
    Source: Duchi, Hazan & Singer 2011, Adaptive subgradient methods for online learning and
    stochastic optimization.
    """
    bp.option("`eps`", eps, above=0)
    v = state("v")
    step = lr * g / (sympy.sqrt(v) + eps)
    return update("adagrad", rate, (v, v + g**2), (theta, theta - step), clip=clip)

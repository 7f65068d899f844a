"""Gradient descent."""

from __future__ import annotations

from bpgen.declare.rule import Rate, g, lr, theta, update
from bpgen.ir.optimizer import Optimizer


def sgd(rate: Rate = 0.01, *, clip: float | None = None) -> Optimizer:
    """Step against the gradient.

    Formula:
        θ ← θ - lr g

    Units: `rate` is lr, in units of θ per g; `clip` is in units of g.
    Errors: OptionError if `rate` or `clip` is not positive.
    Source: Robbins & Monro 1951, A stochastic approximation method.
    """
    return update("sgd", rate, (theta, theta - lr * g), clip=clip)

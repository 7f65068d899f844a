"""Gradient descent with momentum that looks ahead."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.declare.rule import Rate, g, lr, state, theta, update
from bpgen.ir.optimizer import Optimizer


def nesterov(rate: Rate = 0.01, *, momentum: float = 0.9, clip: float | None = None) -> Optimizer:
    """Step against the gradient and what momentum will make of it.

    Formula:
        u ← momentum u + g
        θ ← θ - lr (g + momentum u)

    Units: `rate` is lr, in units of θ per g; `clip` is in units of g.
    Errors: OptionError if `rate` or `clip` is not positive, or `momentum` not at least 0 and below
    1.
    Source: Sutskever, Martens, Dahl & Hinton 2013, On the importance of initialization and
    momentum in deep learning, section 2; in the form of PyTorch's `SGD(nesterov=True)`.
    """
    bp.option("`momentum`", momentum, at_least=0, below=1)
    u = state("u")
    ahead = g + momentum * u
    return update("nesterov", rate, (u, momentum * u + g), (theta, theta - lr * ahead), clip=clip)

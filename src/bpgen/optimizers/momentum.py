"""Gradient descent with momentum."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.declare.rule import Rate, g, lr, state, theta, update
from bpgen.ir.optimizer import Optimizer


def momentum(rate: Rate = 0.01, *, momentum: float = 0.9, clip: float | None = None) -> Optimizer:
    """Step against a decaying sum of gradients.

    Formula:
        u ← momentum u + g
        θ ← θ - lr u

    Units: `rate` is lr, in units of θ per g; `clip` is in units of g.
    Errors: OptionError if `rate` or `clip` is not positive, or `momentum` not at least 0 and below
    1.
    Source: Polyak 1964, Some methods of speeding up the convergence of iteration methods.
    """
    bp.option("`momentum`", momentum, at_least=0, below=1)
    u = state("u")
    return update("momentum", rate, (u, momentum * u + g), (theta, theta - lr * u), clip=clip)

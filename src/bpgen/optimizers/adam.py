"""Gradient descent by running means of the gradient and of its square."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.declare.rule import Assignment, Rate, g, lr, scalar, state, t, theta, update
from bpgen.ir.optimizer import Optimizer
from bpgen.optimizers.average import running_mean


def adam(
    rate: Rate = 1e-3,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    clip: float | None = None,
) -> Optimizer:
    """Step by the mean of recent gradients, in units of their root mean square.

    Formula:
        m ← beta1 m + (1 - beta1) g,  v ← beta2 v + (1 - beta2) g²
        c2 = √(1 - beta2^t),  lr_t = lr c2 / (1 - beta1^t)
        θ ← θ - lr_t m / (√v + eps c2)

    Units: `rate` is lr, in units of θ; `eps` and `clip` are in units of g.
    Errors: OptionError if `rate`, `eps` or `clip` is not positive, or a beta not at least 0 and
    below 1.
    Source: Kingma & Ba 2014, arXiv:1412.6980, algorithm 1, in the order of operations of section 2.
    """
    assignments, step = moments(beta1, beta2, eps)
    return update("adam", rate, *assignments, (theta, theta - step), clip=clip)


def moments(beta1: float, beta2: float, eps: float) -> tuple[tuple[Assignment, ...], bp.Formula]:
    """Return the assignments of `m`, `v`, `c2` and `lr_t`, and the step lr_t m / (√v + eps c2).

    Errors: OptionError if `eps` is not positive, or a beta not at least 0 and below 1.
    """
    bp.option("`eps`", eps, above=0)
    m, v = state("m"), state("v")
    c2, lr_t = scalar("c2"), scalar("lr_t")
    assignments = (
        (m, running_mean("beta1", beta1, m, g)),
        (v, running_mean("beta2", beta2, v, g**2)),
        (c2, sympy.sqrt(1 - beta2**t)),
        (lr_t, lr * c2 / (1 - beta1**t)),
    )
    return assignments, lr_t * m / (sympy.sqrt(v) + eps * c2)

"""Adam with weight decay that the running means do not see."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.declare.rule import Rate, lr, theta, update
from bpgen.ir.optimizer import Optimizer
from bpgen.optimizers.adam import moments


def adamw(
    rate: Rate = 1e-3,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    clip: float | None = None,
) -> Optimizer:
    """Step as adam does, and shrink every parameter a little.

    Formula:
        m, v, c2 and lr_t as in adam
        θ ← θ - lr weight_decay θ - lr_t m / (√v + eps c2)

    Units: `rate` is lr, in units of θ; `eps` and `clip` are in units of g.
    Errors: OptionError if `rate`, `eps` or `clip` is not positive, a beta not at least 0 and below
    1, or `weight_decay` negative.
    Source: Loshchilov & Hutter 2017, arXiv:1711.05101, algorithm 2.
    """
    decay = lr * bp.option("`weight_decay`", weight_decay, at_least=0) * theta
    assignments, step = moments(beta1, beta2, eps)
    return update("adamw", rate, *assignments, (theta, theta - decay - step), clip=clip)

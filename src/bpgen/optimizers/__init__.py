"""Optimizers: how a step changes the parameters, as equations over all of them as one vector.

In: a learning rate (a number, or a schedule of `bpgen.optimizers.schedules`) and the rule's own
numbers. Out: an `ir.Optimizer`. True at the door: states start at 0, and the equations can be
carried out in order, each in place. Every rule takes `clip=`, the largest allowed norm of the
gradient.
"""

from bpgen.optimizers.adagrad import adagrad
from bpgen.optimizers.adam import adam
from bpgen.optimizers.adamw import adamw
from bpgen.optimizers.lion import lion
from bpgen.optimizers.momentum import momentum
from bpgen.optimizers.nesterov import nesterov
from bpgen.optimizers.rmsprop import rmsprop
from bpgen.optimizers.schedules import constant, cosine, one_cycle, step
from bpgen.optimizers.sgd import sgd

__all__ = [
    "adagrad",
    "adam",
    "adamw",
    "constant",
    "cosine",
    "lion",
    "momentum",
    "nesterov",
    "one_cycle",
    "rmsprop",
    "sgd",
    "step",
]

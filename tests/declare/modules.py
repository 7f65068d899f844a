"""Emit a network in float64, and take its gradient at given numbers."""

import itertools

import numpy as np

from bpgen.derive import derive
from bpgen.emit import module
from bpgen.execute.load import load_module
from bpgen.lower import lower
from bpgen.optimizers import sgd

_count = itertools.count()


def emitted(network, folder):
    """The emitted module of a network."""
    path = folder / f"{network.name}_{next(_count)}_numpy.py"
    text = module(lower(derive(network), sgd(1e-3)), f"{network.name}.py", dtype="float64")
    path.write_text(text, encoding="utf-8")
    return load_module(path)


def gradients(net, parameters, batch, noise=None):
    """The loss and the gradients, by name, that an emitted module gives."""
    params = net.init(seed=0)
    for name, value in parameters.items():
        getattr(params, name)[...] = value
    given = {"noise": noise} if noise else {}
    loss, grads = net.loss_and_grad(params, **batch, **given)
    return loss, {name: np.array(getattr(grads, name)) for name in net.PARAMETERS}

"""Emitted recurrent layers of any size are torch's, value and gradient."""

import numpy as np
import pytest
import torch
from tests.declare.modules import emitted, gradients
from tests.oracle.counterparts import Case

import bpgen as bp
from bpgen import layers, losses
from bpgen.against import torch as torchs

pytestmark = pytest.mark.oracle

# Sums of float64 in another order, through a dozen steps.
RELATIVE = 1e-11
LAYERS = ("rnn", "lstm", "gru")


def declared(layer, steps, features, units, *, both, deep):
    def build():
        h = bp.input("x", steps, features)
        for depth in range(deep):
            name, own = f"r{depth}", getattr(layers, layer)
            h = layers.bidirectional(own, h, units, name=name) if both else own(h, units, name=name)
        return losses.mean_squared_error(h, bp.input("target", *h.tensor.shape[1:])), {"h": h}

    return Case(layer, build)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("seed", range(8))
def test_a_random_configuration_is_torch_s(layer, seed, tmp_path):
    rng = np.random.default_rng([seed, len(layer)])
    count = (1, 3)[seed % 2]
    steps, features, units = (int(rng.integers(1, most)) for most in (12, 6, 7))
    kind = {"both": bool(rng.integers(2)), "deep": int(rng.integers(1, 3))}
    case = declared(layer, steps if seed > 1 else 1, features, units, **kind)
    net = case.network()
    batch = {t.name: rng.normal(size=(count, *t.shape[1:])) for t in net.inputs}
    drawn = {t.name: rng.normal(size=t.shape) for t in net.parameters}

    loss, found = gradients(emitted(net, tmp_path), drawn, batch)

    p = {name: torch.tensor(a) for name, a in drawn.items()}
    expected, slopes = torchs.differentiated(lambda p: case.loss_in(torchs, p, batch), p)
    assert loss == pytest.approx(expected.item(), rel=RELATIVE)
    for name, truth in slopes.items():
        assert np.abs(found[name] - truth).max() <= RELATIVE * np.abs(truth).max(), name

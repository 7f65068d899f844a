"""Emitted recurrent layers of any size are torch's, value and gradient."""

import numpy as np
import pytest
import torch
from tests.declare.modules import emitted, gradients
from tests.oracle.recurrent import both_ways, recurrent
from torch import nn

import bpgen as bp
from bpgen import layers
from bpgen.declare.network import network

pytestmark = pytest.mark.oracle

# Sums of float64 in another order, through a dozen steps.
RELATIVE = 1e-11
TORCHS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def declared(layer, steps, features, units, *, both, deep):
    h = bp.input("x", steps, features)
    for depth in range(deep):
        name = f"r{depth}"
        own = getattr(layers, layer)
        h = layers.bidirectional(own, h, units, name=name) if both else own(h, units, name=name)
    *_, m = h.indices
    w = bp.parameter("w", m)
    weighed = bp.mean(h[h.indices] ** 2 * w[m], over=h.indices)
    return network(bp.define("loss", (), weighed), {"h": h}, name=layer)


def theirs(layer, x, p, *, both, deep):
    h = x
    for depth in range(deep):
        torchs = both_ways if both else recurrent
        h = torchs(TORCHS[layer], h, p, f"r{depth}")
    return (h.square() * p["w"]).mean()


@pytest.mark.parametrize("layer", TORCHS)
@pytest.mark.parametrize("seed", range(8))
def test_a_random_configuration_is_torch_s(layer, seed, tmp_path):
    rng = np.random.default_rng([seed, len(layer)])
    batch = (1, 3)[seed % 2]
    steps, features, units = (int(rng.integers(1, most)) for most in (12, 6, 7))
    kind = {"both": bool(rng.integers(2)), "deep": int(rng.integers(1, 3))}
    net = declared(layer, steps if seed > 1 else 1, features, units, **kind)
    x = rng.normal(size=(batch, *next(iter(net.inputs)).shape[1:]))
    drawn = {t.name: rng.normal(size=t.shape) for t in net.parameters}

    loss, found = gradients(emitted(net, tmp_path), drawn, {"x": x})

    p = {name: torch.tensor(a, requires_grad=True) for name, a in drawn.items()}
    expected = theirs(layer, torch.tensor(x), p, **kind)
    slopes = torch.autograd.grad(expected, list(p.values()))
    assert loss == pytest.approx(expected.item(), rel=RELATIVE)
    for name, slope in zip(p, slopes, strict=True):
        truth = slope.numpy()
        assert np.abs(found[name] - truth).max() <= RELATIVE * np.abs(truth).max(), name

"""Far out, and at a switch, where a derivative is a convention, activations have torch's values."""

import numpy as np
import pytest
import torch
from tests.oracle.counterparts import ACTIVATIONS, activation, found_in

import bpgen as bp
from bpgen.against import torch as torchs
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import FLOAT64

pytestmark = pytest.mark.oracle

POINTS = np.array([-1e4, -800, -40, -3, -1e-3, -0.0, 0, 1e-3, 3, 40, 800, 1e4])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_value_and_the_derivative_are_torch_s(name):
    k = bp.index("k", len(POINTS))

    def build():
        y = activation(name)(bp.parameter("z", k))
        return y, {"y": y}

    y, _ = build()
    loss = bp.define("loss", (), bp.sum(y[k], over=k))
    derivation = derive(network(loss, {"y": y}, name="t"))
    extents = {k.extent: len(POINTS)}
    known = evaluate(derivation.network.equations, {"z": POINTS}, extents, FLOAT64)

    z = torch.tensor(POINTS, requires_grad=True)
    theirs = found_in(torchs, build, {"z": z}, {})
    (slope,) = torch.autograd.grad(theirs.sum(), z)

    # 1 + tanh and 1 + erf lose in their left tails what float64 does not hold beside 1.
    np.testing.assert_allclose(known["y"], theirs.detach(), rtol=1e-14, atol=1e-13)
    np.testing.assert_allclose(known["d_z"], slope, rtol=1e-12, atol=1e-13)

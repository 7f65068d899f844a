"""Running statistics and prediction are torch's, after steps of training in both."""

from functools import partial

import numpy as np
import pytest
import torch

import bpgen as bp
from bpgen.activations import tanh
from bpgen.layers import batch_norm
from bpgen.losses import mean_squared_error
from bpgen.optimizers import sgd

pytestmark = pytest.mark.oracle

N, C, H, W = 11, 3, 5, 7
RATE, STEPS = 0.5, 3
# Float64 sums of some hundred terms, in another order.
assert_close = partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-13)


def emitted(extents, folder, momentum):
    x, target = bp.input("x", *extents), bp.input("target", *extents)
    V = bp.parameter("V", *x.indices[1:])
    z = bp.define("z", x.indices, x[x.indices] * V[x.indices[1:]])
    y = tanh(batch_norm(z, name="bn", momentum=momentum))
    model = bp.Model(mean_squared_error(y, target), {"y": y}, sgd(RATE))
    return model.emit(path=folder / "running_numpy.py", dtype="float64")


@pytest.mark.parametrize("extents", [(C,), (C, H), (C, H, W)])
@pytest.mark.parametrize("momentum", [0.1, 0.7])
def test_running_statistics_and_prediction_are_those_of_torch(extents, momentum, tmp_path):
    net = emitted(extents, tmp_path, momentum)
    trainer = net.Trainer(net.init(seed=1), batch=N)
    V = torch.tensor(trainer.params.V.copy(), requires_grad=True)
    kind = [torch.nn.BatchNorm1d, torch.nn.BatchNorm1d, torch.nn.BatchNorm2d][len(extents) - 1]
    norm = kind(C, momentum=momentum, dtype=torch.float64)
    optimizer = torch.optim.SGD([V, *norm.parameters()], RATE)
    for step in range(STEPS):
        batch = net.example(N, seed=step)
        loss = trainer.step(**batch)
        x, target = (torch.tensor(batch[name]) for name in ("x", "target"))
        optimizer.zero_grad()
        theirs = torch.nn.functional.mse_loss(torch.tanh(norm(x * V)), target)
        theirs.backward()
        optimizer.step()
        assert_close(loss, theirs.item())
    ours = trainer.params
    assert norm.running_mean is not None
    assert norm.running_var is not None
    for found, expected in (
        (ours.V, V),
        (ours.bn_gain, norm.weight),
        (ours.bn_shift, norm.bias),
        (ours.bn_mean, norm.running_mean),
        (ours.bn_var, norm.running_var),
    ):
        assert_close(found, expected.detach())
    norm.eval()
    x = net.example(N, seed=99)["x"]
    expected = torch.tanh(norm(torch.tensor(x) * V)).detach()
    assert_close(net.predict(ours, x=x)["y"], expected)

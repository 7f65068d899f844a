"""Every definition computes the same on the device as on the host, forwards, backwards, in a step.

The kernels are the emitted ones, on the CPU (see `bpgen.device`), in float64.
"""

import numpy as np
import pytest

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.device.host import has_compiler
from bpgen.device.standin import installed
from bpgen.emit import module
from bpgen.execute.load import load_module
from bpgen.lower import lower
from bpgen.optimizers import adam, sgd

ROWS = 3
pytestmark = pytest.mark.skipif(not has_compiler(), reason="needs g++")


@pytest.fixture
def pair(tmp_path):
    """The two modules that train a loss."""

    def build(loss, optimizer=None):
        net = network(loss, {"loss": loss}, name="t")
        program = lower(derive(net), optimizer or sgd(0.01))
        for target in ("numpy", "cupy"):
            text = module(program, "t.py", target=target, dtype="float64")
            (tmp_path / f"{target}.py").write_text(text, encoding="utf-8")
        host = load_module(tmp_path / "numpy.py")
        with installed():
            return host, load_module(tmp_path / "cupy.py")

    return build


def assert_same(host, device):
    """Compare losses and gradients at random parameters, and two steps of training."""
    batch = host.example(ROWS, seed=2)
    start = host.init(1)
    vector = start.storage if hasattr(start, "storage") else start.flat
    vector += 0.3 * np.random.default_rng(3).standard_normal(vector.size)
    loss, grads = host.loss_and_grad(start, **batch)
    found, grads_found = device.loss_and_grad(on_device(device, vector), **batch)
    # Sums in another order: some units in the last place of float64, times what cancels.
    np.testing.assert_allclose(found, loss, rtol=1e-11)
    largest = np.abs(grads.flat).max()
    for name in host.PARAMETERS:
        got, expected = getattr(grads_found, name).get(), getattr(grads, name)
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-11 * largest, err_msg=name)
    one, other = host.Trainer(start, ROWS), device.Trainer(on_device(device, vector), ROWS)
    for _ in range(4):
        np.testing.assert_allclose(other.step(**batch), one.step(**batch), rtol=1e-8)
    end = getattr(other.params, "storage", other.params.flat).get()
    np.testing.assert_allclose(end, vector, rtol=1e-6, atol=1e-8)


def on_device(device, vector):
    """Return parameters on the device."""
    with installed() as cupy:
        return device.Params(cupy.asarray(vector.copy()))


def test_an_activation(activation, tensor, pair):
    y = activation(tensor)
    assert_same(*pair(bp.define("total", (), bp.mean(y[y.indices] ** 2, over=y.indices))))


def test_a_layer(layer, declared, pair):
    y = declared(layer)
    assert_same(*pair(bp.define("total", (), bp.mean(y[y.indices] ** 2, over=y.indices))))


def test_a_loss(loss, declared, tensor, pair):
    square = bp.mean(tensor[tensor.indices] ** 2, over=tensor.indices)
    assert_same(*pair(bp.define("all", (), declared(loss)[()] + square)))


def test_an_optimizer(optimizer, tensor, pair):
    loss = bp.define("total", (), bp.mean(tensor[tensor.indices] ** 2, over=tensor.indices))
    assert_same(*pair(loss, optimizer(0.01)))
    assert_same(*pair(loss, adam(bp.optimizers.cosine(0.01, steps=50, warmup=3), clip=0.1)))

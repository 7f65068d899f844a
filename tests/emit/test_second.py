"""Products with the Hessian in emitted modules: what they are, and what they leave alone."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.derive.conftest import N, values_of
from tests.lower.strategies import networks

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive, hessian
from bpgen.emit import module
from bpgen.execute.load import load_module
from bpgen.execute.proof import product_of
from bpgen.layers import linear, lstm
from bpgen.losses import mean_squared_error
from bpgen.lower import lower
from bpgen.optimizers import sgd
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import FLOAT64

ROWS = 65536
few = settings(
    max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.fixture
def with_products(tmp_path):
    """Emit a model with products, and import what was written."""

    def run(name, dtype="float64"):
        path = tmp_path / f"products_{dtype}.py"
        return bp.load(name).emit(path=path, dtype=dtype, extras=("hvp",))

    return run


def agrees(net, folder):
    curvature = hessian(derive(net))
    path = folder / "products_numpy.py"
    text = module(lower(curvature.derivation, sgd(), curvature), "random.py", dtype="float64")
    path.write_text(text, encoding="utf-8")
    rng = np.random.default_rng(1)
    along = {curvature.directions[p.name]: [e or N for e in p.shape] for p in net.parameters}
    values = {**values_of(net), **{name: rng.normal(size=s) for name, s in along.items()}}
    extents = {e: e.value or N for e in curvature.network.extents()}
    known = evaluate(curvature.network.equations, values, extents, FLOAT64)
    _, found = product_of(load_module(path), curvature, "float64")(values, values)
    largest = max(np.abs(known[part]).max() for part in curvature.parts.values())
    for name, part in curvature.parts.items():
        # Sums of float64 in another order, through at most two dozen layers.
        assert np.abs(found[name] - known[part]).max() <= 1e-10 * largest, name


@few
@given(networks())
def test_a_random_emitted_product_is_the_interpreters(tmp_path_factory, declared):
    agrees(network(*declared, name="random"), tmp_path_factory.mktemp("emitted"))


def test_inputs_may_be_called_as_directions_and_products_are(tmp_path):
    h = lstm(bp.input("v", 3, 5), 7)
    loss = mean_squared_error(linear(h, 2), bp.input("hv", 3, 2))
    agrees(network(loss, {}, name="names"), tmp_path)


def test_the_product_is_a_difference_of_gradients(with_products, noisy):
    net = with_products(noisy)
    rng, batch = np.random.default_rng(3), net.example(11)
    params = net.init(seed=0)
    v = net.Grads(rng.normal(size=params.flat.shape))
    step = 1e-5
    ahead, behind = (
        net.loss_and_grad(net.Params(params.flat + h * v.flat), **batch, seed=5, step=7)[1]
        for h in (step, -step)
    )
    found = net.hvp(params, v, **batch, seed=5, step=7)
    quotient = (ahead.flat - behind.flat) / (2 * step)
    # A central difference of float64 with this step has about nine digits.
    assert np.abs(found.flat - quotient).max() <= 1e-7 * np.abs(quotient).max()


def test_one_gradient_serves_many_products(with_products):
    net = with_products("digits_mlp")
    params, batch = net.init(seed=0), net.example(5)
    at = net.Hessian(params, **batch)
    out = net.Grads(np.empty_like(params.flat))
    rng = np.random.default_rng(1)
    for _ in range(3):
        v = net.Grads(rng.normal(size=params.flat.shape))
        assert at.times(v, out) is out
        np.testing.assert_array_equal(out.flat, net.hvp(params, v, **batch).flat)
    loss, grads = net.loss_and_grad(params, **batch)
    assert at.loss == loss
    np.testing.assert_array_equal(at.grads.flat, grads.flat)


@pytest.mark.parametrize("model", ["digits_mlp", "residual_mlp"])
def test_a_product_into_memory_that_is_there_allocates_no_array(with_products, model):
    net = with_products(model, "float32")
    params = net.init(seed=0)
    at = net.Hessian(params, **net.example(ROWS))
    v, out = (net.Grads(np.ones_like(params.flat)) for _ in range(2))
    at.times(v, out)
    tracemalloc.start()
    try:
        at.times(v, out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Less than one number for each example: no tensor of a batch is among it.
    assert peak < 4 * ROWS


def test_float32_products_stay_float32(with_products):
    net = with_products("digits_mlp", "float32")
    params = net.init(seed=0)
    v = net.Grads(np.ones_like(params.flat))
    found = net.hvp(params, v, **net.example(5))
    assert found.flat.dtype == found.fc1_W.dtype == np.float32
    assert found.fc1_W.shape == net.PARAMETERS["fc1_W"]


def test_without_being_asked_for_a_module_has_no_products():
    model = bp.load("digits_mlp")
    plain, more = model.source(), model.source(extras=("hvp",))
    assert "hvp" not in plain
    assert set(plain.splitlines()) <= set(more.splitlines())

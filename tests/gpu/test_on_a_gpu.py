"""On a GPU the emitted CuPy modules compute what the numpy modules compute, the same every time."""

import sys

import numpy as np
import pytest

import bpgen as bp
from bpgen.declare.load import zoo
from bpgen.execute.load import load_module

pytestmark = [pytest.mark.gpu]
ROWS, STEPS = 37, 60
# Rounding in float32 over the longest sums of the zoo, and in float64.
WITHIN = {"float32": 1e-5, "float64": 1e-12}


@pytest.fixture(scope="module", autouse=True)
def cupy():
    """CuPy with a GPU, or no test."""
    found = pytest.importorskip("cupy", reason="CuPy is not installed")
    if not found.cuda.is_available():
        pytest.skip("no NVIDIA GPU answers")
    return found


@pytest.fixture
def emitted(tmp_path):
    """The numpy module in float64 and the CuPy module of a model."""

    def build(model, dtype="float32"):
        loaded = bp.load(model)
        (tmp_path / "host.py").write_text(loaded.source("numpy", "float64"), encoding="utf-8")
        (tmp_path / "device.py").write_text(loaded.source("cupy", dtype), encoding="utf-8")
        return load_module(tmp_path / "host.py"), load_module(tmp_path / "device.py")

    return build


def vector_of(params):
    """Return all that a module keeps in one vector."""
    return getattr(params, "storage", params.flat)


@pytest.mark.parametrize("dtype", WITHIN)
@pytest.mark.parametrize("model", zoo())
def test_gradients_are_those_of_the_host(model, dtype, emitted, cupy):
    host, device = emitted(model, dtype)
    start = vector_of(host.init(1)).astype(dtype)
    batch = host.example(ROWS, seed=2)
    loss, grads = host.loss_and_grad(host.Params(start.astype(np.float64)), **batch)
    found, grads_found = device.loss_and_grad(device.Params(cupy.asarray(start)), **batch)
    assert abs(found - loss) <= WITHIN[dtype] * abs(loss)
    largest = np.abs(grads.flat).max()
    for name in host.PARAMETERS:
        expected, got = getattr(grads, name), getattr(grads_found, name).get()
        size = max(np.abs(expected).max(), 1e-3 * largest)
        assert np.abs(got - expected).max() <= 3 * WITHIN[dtype] * size, name


@pytest.mark.parametrize("model", zoo())
def test_captured_steps_are_eager_steps_bit_for_bit_and_so_is_another_run(model, emitted):
    _, device = emitted(model)
    batches = [device.example(ROWS, seed=seed) for seed in range(5)]
    ends = []
    for graph in (True, False, True):
        trainer = device.Trainer(device.init(1), ROWS, seed=3, graph=graph)
        losses = [trainer.step(**batches[step % 5]) for step in range(STEPS)]
        assert np.isfinite(losses).all()
        ends.append((vector_of(trainer.params).get(), losses))
    for vector, losses in ends[1:]:
        np.testing.assert_array_equal(vector, ends[0][0])
        assert losses == ends[0][1]


@pytest.mark.parametrize("model", ["digits_mlp", "variational_autoencoder", "lenet_digits"])
def test_the_selftest_holds_on_the_device(model, emitted, capsys):
    _, device = emitted(model)
    assert device.selftest()
    assert "the gradient agrees" in capsys.readouterr().out


def test_a_checkpoint_of_the_device_loads_on_the_host(emitted, tmp_path):
    host, device = emitted("digits_mlp")
    trainer = device.Trainer(device.init(1), ROWS)
    trainer.step(**device.example(ROWS))
    device.save(tmp_path / "run.npz", trainer)
    assert host.load(tmp_path / "run.npz").steps == 1
    np.testing.assert_array_equal(
        device.load(tmp_path / "run.npz").params.flat.get(), trainer.params.flat.get()
    )


def test_only_the_device_is_named(cupy):
    """Say on what this ran."""
    properties = cupy.cuda.runtime.getDeviceProperties(0)
    sys.stderr.write(f"ran on {properties['name'].decode()}, CuPy {cupy.__version__}\n")
    assert properties["totalGlobalMem"] > 0

"""On a GPU the emitted CuPy modules compute what the numpy modules compute, the same every time.

With `--rehearse` all of this runs on the CPU, by the stand-in, for a few small models.
"""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from tests.device.conftest import NOISY
from tests.device.test_matches import WORDS
from tests.device.test_products import HEADS
from tests.device.test_tiles import WIDE

import bpgen as bp
from bpgen.declare.load import zoo
from bpgen.device.standin import installed
from bpgen.execute.load import load_module

pytestmark = [pytest.mark.gpu]
ROWS, STEPS = 37, 200
REHEARSED, REHEARSED_STEPS = ("digits_mlp", "lenet_digits"), 3
# Rounding over the longest sums of the zoo: of the largest entry in float32 and float64.
WITHIN = {"float32": 1e-5, "float64": 1e-12}
# Rounding of what is multiplied: of the length of a gradient, where nothing is switched by it.
ROUNDED = {"tf32": 2e-3, "bf16": 2e-2}
SMOOTH = ("char_gpt", "char_gru", "char_lstm")
SANITIZER = shutil.which("compute-sanitizer")


@pytest.fixture(scope="module")
def rehearses(request):
    """Whether this runs without a GPU."""
    return request.config.getoption("--rehearse", default=False)


@pytest.fixture(scope="module", autouse=True)
def cupy(rehearses):
    """CuPy with a GPU, or its stand-in, or no test."""
    if rehearses:
        with installed() as found:
            yield found
        return
    found = pytest.importorskip("cupy", reason="CuPy is not installed")
    if not found.cuda.is_available():
        pytest.skip("no NVIDIA GPU answers")
    yield found


@pytest.fixture(params=zoo())
def model(request, rehearses):
    """Every model of the zoo, or a few."""
    if rehearses and request.param not in REHEARSED:
        pytest.skip("not rehearsed")
    return request.param


@pytest.fixture
def emitted(tmp_path, cupy):
    """The numpy module in float64 and the CuPy module of a model."""

    def build(model, dtype="float32", precision="fp32"):
        loaded = bp.load(model)
        (tmp_path / "host.py").write_text(loaded.source("numpy", "float64"), encoding="utf-8")
        text = loaded.source("cupy", dtype, precision=precision)
        (tmp_path / "device.py").write_text(text, encoding="utf-8")
        return load_module(tmp_path / "host.py"), load_module(tmp_path / "device.py")

    return build


def vector_of(params):
    """Return all that a module keeps in one vector."""
    return getattr(params, "storage", params.flat)


def both(host, device, dtype, cupy):
    """Return the losses and gradients of a batch on the host and on the device."""
    start = vector_of(host.init(1)).astype(dtype)
    batch = host.example(ROWS, seed=2)
    expected = host.loss_and_grad(host.Params(start.astype(np.float64)), **batch)
    return *expected, *device.loss_and_grad(device.Params(cupy.asarray(start)), **batch)


@pytest.mark.parametrize("dtype", WITHIN)
def test_gradients_are_those_of_the_host(model, dtype, emitted, cupy):
    host, device = emitted(model, dtype)
    loss, grads, found, grads_found = both(host, device, dtype, cupy)
    assert abs(found - loss) <= WITHIN[dtype] * abs(loss)
    largest = np.abs(grads.flat).max()
    for name in host.PARAMETERS:
        expected, got = getattr(grads, name), getattr(grads_found, name).get()
        size = max(np.abs(expected).max(), 1e-3 * largest)
        assert np.abs(got - expected).max() <= 3 * WITHIN[dtype] * size, name


@pytest.mark.parametrize("precision", ROUNDED)
@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_of_rounded_products_are_near_those_of_the_host(
    name, precision, emitted, cupy, rehearses
):
    if rehearses and name not in REHEARSED:
        pytest.skip("not rehearsed")
    host, device = emitted(name, precision=precision)
    assert precision == device.PRECISION
    _, grads, _, grads_found = both(host, device, "float32", cupy)
    largest = np.linalg.norm(grads.flat)
    for tensor in host.PARAMETERS:
        expected, got = getattr(grads, tensor), getattr(grads_found, tensor).get()
        size = max(np.linalg.norm(expected), 1e-3 * largest)
        assert np.linalg.norm(got - expected) <= ROUNDED[precision] * size, tensor


OTHERS = {"noise": NOISY, "wide convolutions": WIDE, "words": WORDS, "heads": HEADS}


@pytest.mark.parametrize("name", OTHERS)
def test_gradients_of_what_the_zoo_has_not_are_those_of_the_host(name, emitted, cupy, tmp_path):
    """Noise that kernels draw, tiles of windows, rows that look for their own, stacks in turn."""
    (tmp_path / "model.py").write_text(OTHERS[name], encoding="utf-8")
    host, device = emitted(tmp_path / "model.py", "float64")
    loss, grads, found, grads_found = both(host, device, "float64", cupy)
    assert abs(found - loss) <= WITHIN["float64"] * abs(loss)
    largest = np.abs(grads.flat).max()
    np.testing.assert_allclose(
        grads_found.flat.get(), grads.flat, rtol=0, atol=3 * WITHIN["float64"] * largest
    )


def test_who_does_not_wait_for_a_step_trains_as_who_does(model, emitted, rehearses):
    """Each batch is copied while the step before runs."""
    _, device = emitted(model)
    batches = [device.example(ROWS, seed=seed) for seed in range(5)]
    ends = []
    for waits in (True, False):
        trainer = device.Trainer(device.init(1), ROWS, seed=3)
        for step in range(REHEARSED_STEPS if rehearses else STEPS):
            (trainer.step if waits else trainer.start)(**batches[step % 5])
        ends.append((trainer.loss(), vector_of(trainer.params).get()))
    assert ends[0][0] == ends[1][0]
    np.testing.assert_array_equal(ends[0][1], ends[1][1])


def test_captured_steps_are_eager_steps_bit_for_bit_and_so_is_another_run(
    model, emitted, rehearses
):
    _, device = emitted(model)
    batches = [device.example(ROWS, seed=seed) for seed in range(5)]
    ends = []
    for graph in (True, False, True):
        trainer = device.Trainer(device.init(1), ROWS, seed=3, graph=graph)
        steps = REHEARSED_STEPS if rehearses else STEPS
        losses = [trainer.step(**batches[step % 5]) for step in range(steps)]
        assert np.isfinite(losses).all()
        assert all((turn.graph is not None) is graph for turn in trainer._turns[ROWS])
        ends.append((vector_of(trainer.params).get(), losses))
    for vector, losses in ends[1:]:
        np.testing.assert_array_equal(vector, ends[0][0])
        assert losses == ends[0][1]


def test_the_selftest_holds_on_the_device(model, emitted, capsys):
    _, device = emitted(model)
    assert device.selftest()
    assert "the gradient agrees" in capsys.readouterr().out


def test_the_library_computes_what_the_kernel_in_its_place_does(emitted, cupy):
    host, device = emitted("lenet_digits")
    if device.cublas is None:
        pytest.skip("nvmath-python is not installed")
    _, _, loss, grads = both(host, device, "float32", cupy)
    device.cublas = None
    device.COMPILED.clear()
    _, _, found, grads_found = both(host, device, "float32", cupy)
    assert abs(found - loss) <= 1e-5 * abs(loss)
    expected, got = grads.flat.get(), grads_found.flat.get()
    assert np.linalg.norm(got - expected) <= 1e-5 * np.linalg.norm(expected)


def test_a_checkpoint_of_the_device_loads_on_the_host(emitted, tmp_path):
    host, device = emitted("digits_mlp")
    trainer = device.Trainer(device.init(1), ROWS)
    trainer.step(**device.example(ROWS))
    device.save(tmp_path / "run.npz", trainer)
    assert host.load(tmp_path / "run.npz").steps == 1
    np.testing.assert_array_equal(
        device.load(tmp_path / "run.npz").params.flat.get(), trainer.params.flat.get()
    )


@pytest.mark.skipif(SANITIZER is None, reason="compute-sanitizer is not installed")
@pytest.mark.parametrize("tool", ["memcheck", "racecheck"])
def test_the_sanitizer_finds_no_fault(tool, emitted, tmp_path, rehearses):
    if rehearses:
        pytest.skip("it watches a GPU")
    emitted("variational_autoencoder")
    command = [SANITIZER, "--tool", tool, "--error-exitcode", "1"]
    command += [sys.executable, str(tmp_path / "device.py"), "--selftest"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_only_the_device_is_named(cupy, rehearses):
    """Say on what this ran."""
    if rehearses:
        pytest.skip("there is none")
    properties = cupy.cuda.runtime.getDeviceProperties(0)
    sys.stderr.write(f"ran on {properties['name'].decode()}, CuPy {cupy.__version__}\n")
    assert properties["totalGlobalMem"] > 0

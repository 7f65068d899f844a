"""Products of matrices by a library: what it is told is what NVIDIA's takes, and what it computes.

The library's stand-in is strict, and has the names and numbers of nvmath-python.
"""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import bpgen as bp
from bpgen.device import cublas
from bpgen.device.arrays import Device
from bpgen.device.host import has_compiler
from bpgen.device.standin import installed
from bpgen.errors import DeviceError, OptionError
from bpgen.execute.load import load_module

MODEL, ROWS = "variational_autoencoder", 5  # seven products, transposed and with biases
needs_compiler = pytest.mark.skipif(not has_compiler(), reason="needs g++")


HEADS = '''"""Attention of three heads."""
import bpgen as bp
from bpgen.layers import attention
from bpgen.losses import mean_squared_error
from bpgen.optimizers import sgd

x, y = bp.input("x", 17, 57), bp.input("y", 17, 57)
h = attention(x, 3, causal=True, name="att")
model = bp.Model(mean_squared_error(h, y), {"h": h}, sgd(0.1))
'''


@pytest.fixture
def heads(tmp_path):
    """The path of a model with attention, whose heads are worth a library."""
    path = tmp_path / "heads.py"
    path.write_text(HEADS, encoding="utf-8")
    return path


@pytest.fixture
def trained(tmp_path):
    """Three steps of a model on the device: losses, the gradient, what was launched."""

    def train(precision="fp32", dtype="float32", model=MODEL, **library):
        path, device = tmp_path / "net.py", Device()
        path.write_text(bp.load(model).source("cupy", dtype, precision=precision), encoding="utf-8")
        with installed(device, **library):
            net: Any = load_module(path)
        trainer = net.Trainer(net.init(1), ROWS)
        losses = [trainer.step(**net.example(ROWS, seed=seed)) for seed in range(3)]
        _, grads = net.loss_and_grad(net.init(1), **net.example(ROWS))
        return SimpleNamespace(losses=losses, gradient=grads.flat.get(), launches=device.launches)

    return train


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_library_and_the_kernel_in_its_place_compute_the_same(trained, dtype):
    compute = {"float32": "COMPUTE_32F", "float64": "COMPUTE_64F"}[dtype]
    found = [trained(dtype=dtype, **k) for k in ({}, {"with_library": False}, {"lacks": compute})]
    rtol = {"float32": 1e-5, "float64": 1e-12}[dtype]  # sums in another order
    for other in found[1:]:
        np.testing.assert_allclose(other.losses, found[0].losses, rtol=rtol)
        assert other.launches == found[0].launches


@needs_compiler
def test_heads_are_stacks_of_matrices_that_the_library_multiplies_in_turn(trained, heads):
    text = bp.load(heads).source("cupy", "float64")
    assert "k.product(" not in text
    # Three projections of x, which has no cotangent, twice; one more and two of heads thrice.
    assert text.count("k.matmul(") == 15
    found = [trained(dtype="float64", model=heads, **k) for k in ({}, {"with_library": False})]
    np.testing.assert_allclose(found[1].losses, found[0].losses, rtol=1e-12)
    scale = np.abs(found[0].gradient).max()
    np.testing.assert_allclose(found[1].gradient, found[0].gradient, rtol=0, atol=1e-12 * scale)


@needs_compiler
@pytest.mark.parametrize(("precision", "bits"), [("tf32", 11), ("bf16", 8)])
def test_a_precision_rounds_what_is_multiplied_and_nothing_else(trained, precision, bits):
    exact, found = trained(), trained(precision)
    error = np.linalg.norm(found.gradient - exact.gradient) / np.linalg.norm(exact.gradient)
    # Each product loses some units of its last bit, seven of them in a row.
    assert 2.0 ** -(bits + 3) < error < 7 * 2.0**-bits


@pytest.mark.parametrize("of", [{"target": "numpy"}, {"target": "cupy", "dtype": "float64"}])
def test_a_precision_is_for_float32_on_a_gpu(of):
    with pytest.raises(OptionError, match="tf32 is no precision"):
        bp.load("digits_mlp").source(**of, precision="tf32")


def test_numbers_are_rounded_to_the_nearest_even():
    x = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-20, -3.14159], np.float32)
    expected = [1, 1 + 2.0**-6, 1 + 2.0**-7, -3.140625]
    np.testing.assert_array_equal(cublas.rounded(x, 7), np.array(expected, np.float32))


@pytest.fixture
def library():
    """A library on a device of its own, and what sets an attribute there."""
    found = cublas.CublasLt(Device())

    def tell(setter, of, which, value):
        held = np.array(value)
        getattr(found, setter)(of, which, held.ctypes.data, held.nbytes)

    return found, tell


def test_descriptions_that_do_not_fit_are_refused(library):
    of, tell = library
    with pytest.raises(DeviceError, match="a column of 5 entries every 3"):
        of.matrix_layout_create(0, 5, 7, 3)
    product = of.matmul_desc_create(cublas.ComputeType["COMPUTE_32F"], 0)
    which = cublas.MatmulDescAttribute["BIAS_POINTER"]
    with pytest.raises(DeviceError, match="BIAS_POINTER has 8 bytes"):
        tell("matmul_desc_set_attribute", product, which, np.int32(0))
    with pytest.raises(DeviceError, match="no memory of the device"):
        Device().at(64, 3, np.float32)


def test_a_product_outside_its_arrays_is_refused():
    device = Device()
    array = device.guarded(np.zeros(7, np.float32))
    device.at(array.data.ptr, 7, np.float32)
    with pytest.raises(DeviceError, match="outside its arrays"):
        device.at(array.data.ptr + 4, 7, np.float32)


def test_names_and_numbers_are_those_of_nvmath():
    bindings = pytest.importorskip("nvmath.bindings", reason="needs the extra `gpu`: nvmath-python")
    real = bindings.cublasLt
    for ours, theirs in (
        (cublas.ComputeType, bindings.cublas.ComputeType),
        (cublas.Epilogue, real.Epilogue),
        (cublas.MatmulDescAttribute, real.MatmulDescAttribute),
        (cublas.MatrixLayoutAttribute, real.MatrixLayoutAttribute),
        (cublas.MatmulPreferenceAttribute, real.MatmulPreferenceAttribute),
    ):
        assert {x.name: int(x) for x in ours} == {x.name: int(theirs[x.name]) for x in ours}
    assert real.matmul_heuristic_result_dtype == cublas.HEURISTIC
    for names, size_of in (
        (cublas.MatmulDescAttribute, real.get_matmul_desc_attribute_dtype),
        (cublas.MatrixLayoutAttribute, real.get_matrix_layout_attribute_dtype),
        (cublas.MatmulPreferenceAttribute, real.get_matmul_preference_attribute_dtype),
    ):
        for name in names:
            assert np.dtype(size_of(int(name))).itemsize == cublas.SIZES[name.name], name


def test_every_call_takes_as_many_arguments_as_nvmath_has():
    bindings = pytest.importorskip("nvmath.bindings", reason="needs the extra `gpu`: nvmath-python")
    counts = {
        "create": 0,
        "matmul_desc_create": 2,
        "matrix_layout_create": 4,
        "matmul_preference_create": 0,
        "matmul_preference_destroy": 1,
        "matmul_desc_set_attribute": 4,
        "matrix_layout_set_attribute": 4,
        "matmul_preference_set_attribute": 4,
        "matmul_algo_get_heuristic": 10,
        "matmul": 16,
    }
    used = set(re.findall(r"cublasLt\.([a-z]\w+)\(", bp.load(MODEL).source("cupy")))
    assert used == set(counts)
    for name, count in counts.items():
        described = getattr(bindings.cublasLt, name).__doc__.split(")")[0].split("(")[1]
        assert len([part for part in described.split(",") if part.strip()]) == count, name

"""Kernels draw the noise of a step, from the very numbers that numpy's module draws."""

from fractions import Fraction

import numpy as np
import pytest

import bpgen as bp
from bpgen.device.arrays import Device
from bpgen.device.host import has_compiler
from bpgen.device.standin import installed
from bpgen.execute.load import load_module
from bpgen.ir.tensor import Noise, Role, Tensor
from bpgen.spell import FormulaSpeller
from bpgen.targets.cupy.memory import Memory
from bpgen.targets.cupy.noise import draw_of

NAMES = ("mask1", "turned", "normal", "single")
needs_compiler = pytest.mark.skipif(not has_compiler(), reason="needs g++")


@pytest.fixture
def emitted(noisy, tmp_path, device):
    """The host's and the device's module of a model with noise of every law."""

    def build(dtype="float32", seed=0):
        for target in ("numpy", "cupy"):
            path = tmp_path / f"{target}_{dtype}.py"
            path.write_text(bp.load(noisy).source(target, dtype), encoding="utf-8")
        with installed(Device(seed, device.options)):
            return tuple(load_module(tmp_path / f"{t}_{dtype}.py") for t in ("numpy", "cupy"))

    return build


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_kernels_draw_the_numbers_of_numpy_bit_for_bit(emitted, dtype, order):
    host, device = emitted(dtype, order)
    for rows, seed, step in ((1, 0, 0), (3, 7, 11), (149, 2**62 + 5, 2**40 + 3)):
        a, b = host.Workspace(rows, dtype), device.Workspace(rows, dtype)
        host.draw([a], seed, step)
        device.upload(b, device.noise_of(b, seed, step))
        device.draw(b)
        for name in NAMES:
            np.testing.assert_array_equal(getattr(b, name).get(), getattr(a, name), err_msg=name)


@needs_compiler
def test_training_with_noise_is_that_of_the_host_captured_or_not(emitted):
    host, device = emitted("float64")
    one = host.Trainer(host.init(1), 37, seed=3)
    captured = device.Trainer(device.init(1), 37, seed=3)
    eager = device.Trainer(device.init(1), 37, seed=3, graph=False)
    for step in range(6):
        batch = host.example(37, seed=step)
        found = captured.step(**batch)
        assert eager.step(**batch) == found
        np.testing.assert_allclose(found, one.step(**batch), rtol=1e-10)  # sums in another order


@needs_compiler
def test_noise_that_is_given_is_not_drawn(emitted):
    host, device = emitted("float64")
    batch, rng = host.example(5), np.random.default_rng(1)
    shapes = {"mask1": (5, 7), "turned": (7, 5), "normal": (5, 7), "single": ()}
    noise = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    expected, grads = host.loss_and_grad(host.init(1), **batch, noise=noise)
    found, grads_found = device.loss_and_grad(device.init(1), **batch, noise=noise)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(grads_found.flat.get(), grads.flat, rtol=1e-9, atol=1e-12)
    drawn = device.loss_and_grad(device.init(1), **batch, seed=1, step=2)[0]
    np.testing.assert_allclose(drawn, host.loss_and_grad(host.init(1), **batch, seed=1, step=2)[0])
    assert abs(drawn - found) > 1e-3


@pytest.mark.parametrize("rate", [0.1, 1 / 3, 0.75, 2.0**-60, 1.0])
def test_a_chance_is_compared_in_integers_as_it_is_in_float64(rate):
    tensor = Tensor("mask", (), Role.NOISE, noise=Noise("bernoulli", rate))
    memory = Memory({"mask": tensor}, {"mask": "a.mask"}, {}, {})
    kernel, _ = draw_of(tensor, memory, "mask", FormulaSpeller())
    below = int(kernel.lines[0].split("u < ")[1].split(")")[0], 16)
    assert Fraction(below - 1, 2**53) < Fraction(rate) <= Fraction(below, 2**53)

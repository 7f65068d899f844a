"""Products of bf16: what they read is stored as bf16, and everything else is computed as before."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.device.test_products import HEADS
from tests.device.test_tiles import WIDE

import bpgen as bp
from bpgen.device.arrays import Device
from bpgen.device.host import HostModule, has_compiler
from bpgen.device.standin import installed
from bpgen.emit.render import environment
from bpgen.execute.load import load_module
from bpgen.summary import kernels, memory
from bpgen.targets.cupy import matmul

pytestmark = pytest.mark.skipif(not has_compiler(), reason="needs g++")

NET = '''"""Two branches, whose cotangents meet, and a normalisation."""
import bpgen as bp
from bpgen.activations import gelu, tanh
from bpgen.layers import layer_norm, linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adamw

x = bp.input("x", 67)
label = bp.label("label", classes=71)
u = linear(x, 73, name="fc1")
h = layer_norm(tanh(linear(u, 79, name="left")) + linear(u, 79, name="right"), name="ln")
h = gelu(linear(h, 83, name="fc2"))
logits = linear(h, 71, name="fc3")
model = bp.Model(softmax_cross_entropy(logits, label), {"logits": logits}, adamw(0.01))
'''
OTHERS = {"net": NET, "heads": HEADS, "wide": WIDE}
ROWS, GUARD = 7, 64  # examples; entries that the stand-in puts around each array
# A number of bf16 has 8 bits; what is multiplied in a row of products loses some units of the last.
WITHIN = 2e-2


@pytest.fixture
def model(tmp_path):
    """What loads a model of the zoo, or one of those above."""

    def load(name):
        if name not in OTHERS:
            return bp.load(name)
        (tmp_path / f"{name}.py").write_text(OTHERS[name], encoding="utf-8")
        return bp.load(tmp_path / f"{name}.py")

    return load


@pytest.fixture
def emitted(tmp_path, model):
    """The module of a model, on a device of its own."""

    def build(name, precision="bf16", device=None, target="cupy", dtype="float32", **library):
        path = tmp_path / f"{target}_{precision}.py"
        text = model(name).source(target, dtype, precision=precision)
        path.write_text(text, encoding="utf-8")
        with installed(device, **library):
            return load_module(path)

    return build


def gradients(device, params, batch):
    """Return the gradient of a batch by name, on the host."""
    _, grads = device.loss_and_grad(params, **batch)
    return {name: getattr(grads, name).get() for name in device.PARAMETERS}


@pytest.mark.parametrize("name", ["char_gpt", "char_lstm", "net", "heads", "wide"])
def test_gradients_are_those_of_the_host_but_for_rounding(name, emitted):
    host, device = emitted(name, "fp32", target="numpy", dtype="float64"), emitted(name)
    rows = 2 if name == "wide" else ROWS
    batch, start = host.example(rows, seed=3), device.init(1)
    exact = host.Params(start.flat.get().astype(np.float64))
    loss, grads = host.loss_and_grad(exact, **batch)
    assert abs(device.loss(start, **batch) - loss) <= WITHIN * abs(loss)
    for tensor, found in gradients(device, start, batch).items():
        right = getattr(grads, tensor)
        error = np.linalg.norm(found - right)
        assert error <= WITHIN * np.linalg.norm(right), tensor
    # What is rounded shows: this is no gradient in float32.
    total = np.concatenate([g.ravel() for g in gradients(device, start, batch).values()])
    assert np.linalg.norm(total - grads.flat) > 1e-4 * np.linalg.norm(grads.flat)


@pytest.mark.parametrize("name", ["digits_mlp", "conv_autoencoder", "mixture_density"])
def test_whatever_a_library_multiplies_is_right_but_for_rounding(name, emitted, monkeypatch):
    """Every product is the library's, however small: windows, stacks, and what is copied for it."""
    for limit, least in (("_WORTH", 1), ("_WORTH_A_COPY", 1), ("_NARROW", 1)):
        monkeypatch.setattr(matmul, limit, least)
    monkeypatch.setattr(matmul, "_LARGE", {"real": 1, "narrow": 1})
    host, device = emitted(name, "fp32", target="numpy", dtype="float64"), emitted(name)
    assert "k.product(" not in Path(device.__file__).read_text(encoding="utf-8")
    start, batch = host.init(1), host.example(ROWS, seed=2)
    _, grads = host.loss_and_grad(start, **batch)
    for dtype, within in (("float64", 1e-12), ("float32", WITHIN)):
        params = device.Params(device.cp.asarray(start.flat.astype(dtype)))
        _, found = device.loss_and_grad(params, **batch)
        error = np.linalg.norm(found.flat.get() - grads.flat)
        assert error <= within * np.linalg.norm(grads.flat), dtype


def test_losses_over_25_steps_stay_near_those_of_float32_captured_or_not(emitted):
    exact, device = emitted("net", "fp32"), emitted("net")
    one = exact.Trainer(exact.init(1), ROWS)
    captured = device.Trainer(device.init(1), ROWS)
    eager = device.Trainer(device.init(1), ROWS, graph=False)
    for step in range(25):
        batch = device.example(ROWS, seed=step % 5)
        expected, found = one.step(**batch), captured.step(**batch)
        assert eager.step(**batch) == found
        # Each step starts where the last one ended; the loss falls to a sixtieth meanwhile.
        assert abs(found - expected) <= 3 * WITHIN * abs(expected)
    assert expected < 0.1 * np.log(71), "nothing is learnt"
    np.testing.assert_array_equal(captured.params.flat.get(), eager.params.flat.get())
    rounded = captured.params.rounded.flat.get()
    np.testing.assert_array_equal(rounded, bits_of(captured.params.flat.get()))


def test_the_order_of_threads_changes_no_bit(emitted):
    ends = []
    for seed in (0, 1):
        device = emitted("net", device=Device(seed))
        trainer = device.Trainer(device.init(1), ROWS)
        for step in range(2):
            trainer.step(**device.example(ROWS, seed=step))
        ends.append(trainer.params.flat.get())
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize("name", ["net", "heads"])
def test_a_kernel_multiplies_where_the_library_is_missing(name, emitted):
    found = []
    for library in ({}, {"with_library": False}, {"lacks": "COMPUTE_32F"}):
        device = emitted(name, **library)
        found.append(gradients(device, device.init(1), device.example(ROWS)))
    for tensor, right in found[0].items():
        for other in found[1:]:  # a sum in another order is rounded to another neighbour at times
            assert np.linalg.norm(other[tensor] - right) <= 5e-3 * np.linalg.norm(right), tensor


def test_in_float64_nothing_is_rounded(emitted, capsys):
    host, device = emitted("net", "fp32", target="numpy", dtype="float64"), emitted("net")
    start, batch = host.init(1), host.example(ROWS)
    expected, grads = host.loss_and_grad(start, **batch)
    params = device.Params(device.cp.asarray(start.flat))
    found, grads_found = device.loss_and_grad(params, **batch)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(grads_found.flat.get(), grads.flat, atol=1e-12)
    assert device.selftest()
    assert "the gradient agrees" in capsys.readouterr().out


def test_a_checkpoint_holds_float32_and_loads_in_every_precision(emitted, tmp_path):
    modules = [emitted("net", "fp32", target="numpy"), emitted("net", "fp32"), emitted("net")]
    batch = modules[0].example(ROWS)
    trainer = modules[2].Trainer(modules[2].init(1), ROWS)
    trainer.step(**batch)
    modules[2].save(tmp_path / "run.npz", trainer)
    with np.load(tmp_path / "run.npz") as file:
        names = {*modules[0].PARAMETERS, "state.m", "state.v", "run"}
        assert set(file.files) == names
        assert all(file[name].dtype == np.float32 for name in modules[0].PARAMETERS)
    losses = [module.load(tmp_path / "run.npz").step(**batch) for module in modules]
    assert losses[2] == trainer.step(**batch)
    np.testing.assert_allclose(losses, losses[0], rtol=WITHIN)


def test_what_products_read_is_stored_so_and_what_is_summed_is_not(model):
    text = model("net").source("cupy", precision="bf16")
    made = dict(re.findall(r"self\.(\w+) = (narrow_)?rows_N", text))
    narrow = {name for name, kind in made.items() if kind}
    read = {"u", "y1", "h", "d_logits", "d_z3", "d_sum1", "d_z1"}
    written = {"z1", "z2", "z3", "d_h"}  # of which each entry goes to one of a map
    copied = {"x_nd", "d_u_nh"}
    assert narrow == read | written | copied
    # Inputs, what maps make for maps, sums of rows and what is summed, outputs, and what is added
    # up in two steps, which a product reads all the same.
    rest = {"tanh1", "rstd1", "xhat1", "d_y1", "logits", "e", "d_u"}
    assert rest <= made.keys() - narrow


def test_a_model_that_no_library_multiplies_for_has_no_bf16(model):
    assert model("wine").source("cupy", precision="bf16") == model("wine").source("cupy")


@pytest.mark.parametrize("name", ["net", "wide"])
def test_the_memory_is_foretold(name, emitted, model):
    device = emitted(name)
    work, params = device.Workspace(ROWS), device.init(1)
    arrays = {x.place: x for x in vars(work).values() if hasattr(x, "place")}
    allocated = sum(x._around.nbytes - 2 * GUARD * x.itemsize for x in arrays.values())
    found = memory(model(name).program(), ROWS, "bf16")
    assert found["workspace"] + found["the batch"] == allocated
    assert device.needed(ROWS, "float32") == allocated + found["the next batch"]
    assert found["what products read of them"] == params.rounded.flat.nbytes


def test_windows_of_fewer_channels_are_worth_a_copy_in_bf16(tmp_path):
    path = tmp_path / "narrow.py"
    path.write_text(WIDE.replace("67", "37").replace("71", "41").replace("65", "31"), "utf-8")
    found = {
        precision: bp.load(path).source("cupy", precision=precision)
        for precision in ("fp32", "bf16")
    }
    assert found["fp32"].count("k.product(") == 4
    assert "k.product(" not in found["bf16"]


def test_less_is_moved_than_in_float32(model):
    program = model("net").program()
    moved = {
        precision: {row.formulas: row.bytes for row in kernels(program, 64, precision)}
        for precision in ("fp32", "bf16")
    }
    (product,) = (f for f in moved["bf16"] if f[0].startswith("z2[n,"))
    assert moved["bf16"][product] * 2 == moved["fp32"][product]


def bits_of(numbers):
    """Return numbers of float32 as those of bf16, by the distance to both neighbours."""
    low = numbers.view(np.uint32) >> np.uint32(16)
    ends = [((low + k) << np.uint32(16)).view(np.float32).astype(np.float64) for k in (0, 1)]
    below, above = (np.abs(end - numbers) for end in ends)
    up = (above < below) | ((above == below) & (low % 2 == 1))
    return np.where(np.isinf(ends[1]), low, low + up).astype(np.uint16)


@pytest.fixture
def rounding():
    """What a kernel makes of numbers of float32 that it stores as bf16, and of those it reads."""
    text = environment().get_template("cupy/narrow.cu.jinja").render()
    kernel = """
    extern "C" __global__ void kernel_store(const real *x, narrow *y, real *z) {
        y[blockIdx.x] = x[blockIdx.x];
        z[blockIdx.x] = y[blockIdx.x];
    }"""
    module = HostModule(f"typedef REAL real;\n{text}{kernel}", "float")

    def run(numbers):
        stored, read = np.zeros(numbers.size, np.uint16), np.zeros_like(numbers)
        module.launch("kernel_store", numbers.size, 1, [numbers, stored, read])
        return SimpleNamespace(stored=stored, read=read)

    return run


def test_numbers_are_stored_as_their_nearest_neighbour_ties_to_even(rounding):
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal(5000).astype(np.float32) * 2.0 ** rng.integers(-40, 40, 5000)
    halves = numbers.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    ties = (halves | np.uint32(0x8000)).view(np.float32)
    for given in (numbers.astype(np.float32), ties, halves.view(np.float32), -ties):
        np.testing.assert_array_equal(rounding(given).stored, bits_of(given))
    kept = halves.view(np.float32)
    np.testing.assert_array_equal(rounding(kept).read, kept)


def test_what_is_no_number_stays_none_and_what_is_too_large_is_infinite(rounding):
    largest = np.finfo(np.float32).max
    odd = np.array([np.nan, -np.nan, np.inf, -np.inf, largest, -largest], np.float32)
    odd = np.append(odd, np.array([0x7F800001], np.uint32).view(np.float32))  # a NaN of few bits
    found: Any = rounding(odd).read
    assert np.isnan(found[[0, 1, 6]]).all()
    np.testing.assert_array_equal(found[2:6], [np.inf, -np.inf, np.inf, -np.inf])

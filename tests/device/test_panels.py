"""Panels: what a row of positions makes of all others is in no memory, whatever it makes of it."""

import numpy as np
import pytest

import bpgen as bp
from bpgen.device.arrays import Device
from bpgen.device.host import has_compiler
from bpgen.device.standin import installed
from bpgen.execute.load import load_module
from bpgen.summary import kernels
from bpgen.targets.cupy import local

ROWS = 2
HEAD = '''"""Positions that look at each other."""
import sympy

import bpgen as bp
from bpgen.layers import attention, dropout, linear
from bpgen.losses import mean_squared_error
from bpgen.optimizers import sgd

x, y = bp.input("x", 67, 15), bp.input("y", 67, 15)
far = bp.input("far", 131, 7)
seen = bp.input("seen", 67)
'''
TAIL = """
model = bp.Model(mean_squared_error(h, y), {"h": h}, sgd(0.1))
"""
# Rows divided by their sum of positive scores: no exponential, no maximum.
RECTIFIED = """
n, t, d = x.indices
s, k = bp.index("s", 67), bp.index("k", 11)
Q, K, V = (bp.parameter(name, d, k) for name in ("Q", "K", "V"))
q = bp.define("q", (n, t, k), bp.sum(x[n, t, d] * Q[d, k], over=d))
key = bp.define("key", (n, s, k), bp.sum(x[n, s, d] * K[d, k], over=d))
value = bp.define("value", (n, s, k), bp.sum(x[n, s, d] * V[d, k], over=d))
score = bp.define("score", (n, t, s), bp.sum(q[n, t, k] * key[n, s, k], over=k))
r = bp.define("r", (n, t, s), bp.where(score[n, t, s] > 0, score[n, t, s] ** 2, 0))
total = bp.define("total", (n, t), bp.sum(r[n, t, s], over=s))
w = bp.define("w", (n, t, s), r[n, t, s] / (1 + total[n, t]))
asked = bp.define("asked", (n, s), bp.sum(r[n, t, s], over=t))
given = bp.define("given", (n, s, k), value[n, s, k] / (1 + asked[n, s]))
mixed = bp.define("mixed", (n, t, k), bp.sum(w[n, t, s] * given[n, s, k], over=s))
h = linear(mixed, 15, name="out")
"""
BODIES = {
    "attention": 'h = attention(x, 3, name="att")',
    "causal": 'h = attention(x, 3, causal=True, name="att")',
    "turned": 'h = attention(linear(x, 18, name="in"), 3, causal=True, rotary=True, name="att")\n'
    'h = linear(h, 15, name="out")',
    "of others": 'h = attention(x, 3, keys=far, name="att")',
    "masked": 'h = attention(x, 3, mask=seen, name="att")',
    "shared": 'h = attention(linear(x, 24, name="in"), 6, groups=2, causal=True, name="att")\n'
    'h = linear(h, 15, name="out")',
    # The row's largest and its sum are of a turn, and backwards they are read in another loop.
    "repeated": 'h = bp.repeat(lambda z: z + attention(z, 3, name="att"), 2, x, name="block")',
    "rectified": RECTIFIED,
}
pytestmark = pytest.mark.skipif(not has_compiler(), reason="needs g++")


@pytest.fixture
def always(monkeypatch):
    """Panels of any size are worth it."""
    monkeypatch.setattr(local, "is_worth", lambda *_: True)


@pytest.fixture
def written(tmp_path):
    """The path of a model with a body."""

    def write(body, tail=TAIL):
        path = tmp_path / "looking.py"
        path.write_text(HEAD + body + tail, encoding="utf-8")
        return path

    return write


def modules(path, dtype="float64", seed=0):
    """Return the host's and the device's module of a model."""
    for target in ("numpy", "cupy"):
        text = bp.load(path).source(target, dtype)
        path.with_name(f"{target}.py").write_text(text, encoding="utf-8")
    with installed(Device(seed)):
        return [load_module(path.with_name(f"{target}.py")) for target in ("numpy", "cupy")]


def panels(module):
    """Return the buffers of a step that have an axis for rows and one for columns."""
    a = module.Workspace(ROWS)
    arrays = {name: x for name, x in vars(a).items() if hasattr(x, "shape")}
    return [name for name, x in arrays.items() if x.shape[-2:] in {(67, 67), (67, 131), (131, 67)}]


@pytest.mark.parametrize("body", BODIES)
def test_a_gradient_without_panels_in_memory_is_that_of_the_host(body, written, always):
    path, ends = written(BODIES[body]), []
    for seed in (0, 1):
        host, device = modules(path, seed=seed)
        assert not panels(device)
        batch = host.example(ROWS)
        expected, grads = host.loss_and_grad(host.init(1), **batch)
        found, on_device = device.loss_and_grad(device.init(1), **batch)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        for name in host.PARAMETERS:  # sums of some thousand products, in another order
            got, right = getattr(on_device, name).get(), getattr(grads, name)
            np.testing.assert_allclose(got, right, rtol=1e-9, atol=1e-12 * np.abs(right).max())
        ends.append(on_device.flat.get())
    np.testing.assert_array_equal(ends[0], ends[1], err_msg="the order of threads")


def test_training_without_panels_is_that_of_the_host_captured_or_not(written, always):
    host, device = modules(written(BODIES["causal"]))
    one = host.Trainer(host.init(1), ROWS)
    captured, eager = (device.Trainer(device.init(1), ROWS, graph=g) for g in (True, False))
    for step in range(4):
        batch = host.example(ROWS, seed=step)
        found = captured.step(**batch)
        assert eager.step(**batch) == found
        np.testing.assert_allclose(found, one.step(**batch), rtol=1e-11)


def test_tiles_beyond_the_diagonal_are_left_out_and_no_others(written, always):
    """Of seven kernels; the largest of a row needs its first entry, too, but that once."""
    text = bp.load(written(BODIES["causal"])).source("cupy")
    assert text.count("_of_panel<") == 7
    assert text.count("everywhere(),") == 0
    assert text.count("column_of<by_row, by_column>(K") == 1
    assert bp.load(written(BODIES["attention"])).source("cupy").count("everywhere(),") == 7


def test_what_is_asked_for_or_read_at_another_entry_is_in_memory(written, always):
    kept = '\nmodel = bp.Model(mean_squared_error(h, y), {"h": h, "w": w}, sgd(0.1))\n'
    moved = RECTIFIED.replace("r[n, t, s] / (1", "(r[n, t, s] + r[n, s, t]) / (1")
    crossed = RECTIFIED.replace("score[n, t, s] ** 2", "score[n, t, s] * score[n, s, t]")
    texts = {"w": (RECTIFIED, kept), "r": (moved,), "score": (crossed,)}
    for held, text in texts.items():
        host, device = modules(written(*text))
        assert held in panels(device)
        batch = host.example(ROWS)
        found, _ = device.loss_and_grad(device.init(1), **batch)
        np.testing.assert_allclose(found, host.loss_and_grad(host.init(1), **batch)[0], rtol=1e-12)


@pytest.mark.parametrize(
    "model", ["three_layer_relu", "pitch_correction", "variational_autoencoder"]
)
def test_where_every_product_may_be_a_panel_one_ends_where_the_next_begins(model, tmp_path, always):
    for target in ("numpy", "cupy"):
        (tmp_path / f"{target}.py").write_text(bp.load(model).source(target, "float64"), "utf-8")
    assert "_of_panel<" in (tmp_path / "cupy.py").read_text("utf-8")
    with installed():
        host, device = (load_module(tmp_path / f"{t}.py") for t in ("numpy", "cupy"))
    one, other = (m.Trainer(m.init(1), 5) for m in (host, device))
    for step in range(2):
        batch = host.example(5, seed=step)
        np.testing.assert_allclose(other.step(**batch), one.step(**batch), rtol=1e-11)


def heads(positions, width):
    """Return the text of a model with causal heads of some width."""
    return (
        f'z, u = bp.input("z", {positions}, {2 * width}), bp.input("u", {positions}, {2 * width})\n'
        'h = attention(z, 2, causal=True, name="att")\n'
        'model = bp.Model(mean_squared_error(h, u), {"h": h}, sgd(0.1))\n'
    )


@pytest.mark.parametrize(
    ("positions", "width", "is_worth"),
    [(512, 8, True), (512, 64, False), (65536, 64, True), (128, 8, False)],
)
def test_a_panel_is_worth_it_where_its_sums_are_short_and_no_cache_holds_it_or_it_is_huge(
    positions, width, is_worth, written
):
    text = bp.load(written(heads(positions, width), "")).source("cupy")
    assert ("_of_panel<" in text) == is_worth


def test_products_that_are_computed_anew_are_counted_anew(written, always):
    """14 products of 5 for an entry, 4 of them forwards, and that of p and its cotangent."""
    rows = kernels(bp.load(written(BODIES["causal"])).program(), ROWS)
    found = [row for row in rows if any("att_score[" in f for f in row.formulas)]
    assert sum(row.multiply_adds for row in found) == (14 * 5 + 1) * ROWS * 3 * 67 * 67

"""Repeated blocks are the blocks written one by one: values, gradients, starts, predictions."""

import numpy as np
import pytest
from tests.declare.modules import emitted, gradients

import bpgen as bp
from bpgen.activations import gelu, relu, tanh
from bpgen.declare.network import network
from bpgen.errors import ExtentError, RecurrenceError, ShapeError
from bpgen.layers import attention, batch_norm, dropout, layer_norm, linear, lstm

T, D, H, BLOCKS = 3, 6, 5, 4
# Sums of float64 in another order, through four blocks.
RELATIVE = 1e-11


def named(name, stem):
    return f"{name}_{stem}" if name else stem


def residual(x, name=""):
    return x + linear(tanh(linear(x, H, name=named(name, "up"))), D, name=named(name, "down"))


def transformer(x, name=""):
    a = attention(layer_norm(x, name=named(name, "ln")), 2, causal=True, name=named(name, "att"))
    h = x + a
    return h + linear(gelu(linear(h, H, name=named(name, "up"))), D, name=named(name, "down"))


def noisy(x, name=""):
    return x + dropout(relu(linear(x, D, name=named(name, "fc"))), 0.25)


def recurrent(x, name=""):
    return x + lstm(x, D, name=named(name, "cell"))


def normalised(x, name=""):
    return x + tanh(batch_norm(linear(x, D, name=named(name, "fc")), name=named(name, "bn")))


CASES = {
    "residual": (residual, (D,)),
    "transformer": (transformer, (T, D)),
    "noisy": (noisy, (D,)),
    "recurrent": (recurrent, (T, D)),
    "normalised": (normalised, (D,)),
}


def loss_of(y):
    return bp.define("loss", (), bp.mean(y[y.indices] ** 3, over=y.indices))


def repeated(case, blocks=BLOCKS):
    block, sizes = CASES[case]
    y = bp.repeat(block, blocks, bp.input("x", *sizes), name="block")
    return network(loss_of(y), {"y": y}, name="repeated")


def one_by_one(case, blocks=BLOCKS):
    block, sizes = CASES[case]
    y = bp.input("x", *sizes)
    for b in range(blocks):
        y = block(y, f"b{b}")
    return network(loss_of(y), {"y": y}, name="one_by_one")


def apart(stacked):
    """What belongs to each block, under the names it has when written one by one."""
    return {
        name.replace("block_", f"b{b}_", 1): array[b]
        for name, array in stacked.items()
        for b in range(BLOCKS)
    }


@pytest.mark.parametrize("case", CASES)
def test_repeated_blocks_are_the_blocks_one_by_one(case, tmp_path):
    together, separate = repeated(case), one_by_one(case)
    rng = np.random.default_rng(0)
    stored = (*together.parameters, *together.kept)
    drawn = {t.name: rng.normal(size=t.shape) for t in stored}
    batch = {"x": rng.normal(size=(2, *CASES[case][1]))}
    masks = {"mask1": rng.integers(2, size=(BLOCKS, 2, D)).astype(float)} if case == "noisy" else {}
    split = {f"mask{b + 1}": m for b, m in enumerate(masks.get("mask1", ()))}

    loss, found = gradients(emitted(together, tmp_path), drawn, batch, masks)
    expected, truth = gradients(emitted(separate, tmp_path), apart(drawn), batch, split)

    assert loss == pytest.approx(expected, rel=RELATIVE)
    found = apart(found)
    assert set(found) == set(truth)
    largest = max(np.abs(g).max() for g in truth.values())
    for name, gradient in truth.items():
        assert np.abs(found[name] - gradient).max() <= RELATIVE * largest, name


@pytest.mark.parametrize("case", ["noisy", "normalised"])
def test_predictions_are_those_of_the_blocks_one_by_one(case, tmp_path):
    rng = np.random.default_rng(1)
    nets = [emitted(n, tmp_path) for n in (repeated(case), one_by_one(case))]
    params = [net.init(seed=0) for net in nets]
    stored = getattr(nets[0], "STORED", nets[0].PARAMETERS)
    drawn = {name: rng.normal(size=shape) ** 2 for name, shape in stored.items()}
    for p, values in zip(params, (drawn, apart(drawn)), strict=True):
        for name, value in values.items():
            getattr(p, name)[...] = value
    x = rng.normal(size=(2, D))
    one, other = (net.predict(p, x=x)["y"] for net, p in zip(nets, params, strict=True))
    np.testing.assert_allclose(one, other, rtol=RELATIVE)


def test_running_statistics_of_each_block_advance(tmp_path):
    nets = [emitted(n, tmp_path) for n in (repeated("normalised"), one_by_one("normalised"))]
    trainers = [net.Trainer(net.init(seed=0), batch=5) for net in nets]
    for name, value in apart(
        {n: getattr(trainers[0].params, n).copy() for n in nets[0].STORED}
    ).items():
        getattr(trainers[1].params, name)[...] = value
    x = np.random.default_rng(2).normal(size=(5, D))
    for trainer in trainers:
        for _ in range(3):
            trainer.step(x=x)
    found = apart({n: getattr(trainers[0].params, n) for n in nets[0].STORED})
    for name, value in found.items():
        np.testing.assert_allclose(
            value, getattr(trainers[1].params, name), rtol=1e-9, atol=1e-12, err_msg=name
        )


def test_every_block_starts_as_a_block_alone_would(tmp_path):
    def block(x):
        return x + linear(x, D, init=bp.init.orthogonal(2)) + linear(x, D, name="he")

    y = bp.repeat(block, 200, bp.input("x", D), name="block")
    net = emitted(network(loss_of(y), {"y": y}, name="many"), tmp_path)
    p = net.init(seed=0)
    for W in p.block_W:
        np.testing.assert_allclose(W.T @ W, 4 * np.eye(D), atol=1e-12)
    deviation = p.block_he_W.std()
    # 200 · 36 normal numbers: the deviation of their deviation is 1 %.
    assert deviation == pytest.approx(np.sqrt(2 / D), rel=0.05)


def test_repeated_blocks_inside_repeated_blocks_are_products(tmp_path):
    def outer(x):
        return bp.repeat(residual, 3, x, name="inner")

    y = bp.repeat(outer, 2, bp.input("x", D), name="outer")
    together = network(loss_of(y), {"y": y}, name="nested")
    flat = bp.repeat(residual, 6, bp.input("x", D), name="block")
    straight = network(loss_of(flat), {"y": flat}, name="flat")
    rng = np.random.default_rng(3)
    sizes = {t.name: [size or 0 for size in t.shape] for t in straight.parameters}
    drawn = {name: rng.normal(size=size) for name, size in sizes.items()}
    batch = {"x": rng.normal(size=(2, D))}
    nested = {
        name.replace("block_", "outer_inner_"): a.reshape(2, 3, *a.shape[1:])
        for name, a in drawn.items()
    }

    loss, found = gradients(emitted(together, tmp_path), nested, batch)
    expected, truth = gradients(emitted(straight, tmp_path), drawn, batch)

    assert loss == pytest.approx(expected, rel=RELATIVE)
    for name, gradient in truth.items():
        own = found[name.replace("block_", "outer_inner_")].reshape(gradient.shape)
        np.testing.assert_allclose(own, gradient, rtol=1e-9, atol=1e-12, err_msg=name)


def test_parameters_from_outside_are_shared_by_all_blocks():
    W = bp.parameter("W", bp.index("d", D), bp.index("h", D))

    def block(x):
        n, d = x.indices
        h = bp.index("h", D)
        return x + bp.define("z", (n, h), bp.sum(x[n, d] * W[d, h], over=d))

    y = bp.repeat(block, 3, bp.input("x", D))
    (parameter,) = network(loss_of(y), {}, name="t").parameters
    assert parameter.shape == (D, D)


def test_a_block_that_changes_the_axes_is_refused_with_its_line():
    with pytest.raises(ShapeError, match="changes the axes") as refused:
        bp.repeat(lambda x: linear(x, H), 3, bp.input("x", D))
    assert "test_repeat.py" in str(refused.value)


@pytest.mark.parametrize("block", [lambda x: x, lambda x: None, lambda x: bp.input("y", D)])
def test_a_block_that_computes_nothing_from_its_input_is_refused(block):
    with pytest.raises(RecurrenceError, match="does not compute"):
        bp.repeat(block, 3, bp.input("x", D))


@pytest.mark.parametrize("times", [0, -1, 2.0, True])
def test_a_number_of_blocks_that_is_none_is_refused(times):
    with pytest.raises(ExtentError):
        bp.repeat(residual, times, bp.input("x", D))

"""Layers compute what numpy computes; what a loss averages over is every entry."""

from functools import partial
from typing import Any

import numpy as np
import pytest

import bpgen as bp
from bpgen.declare.variable import reachable
from bpgen.ir.tensor import Role
from bpgen.layers import (
    dropout,
    flatten,
    layer_norm,
    linear,
    masked_softmax,
    rms_norm,
    rotary,
    softmax,
    sparse_linear,
)
from bpgen.losses import huber, l1, l2, mean_squared_error, softmax_cross_entropy

# Rounding only: each value is a few operations away from numpy's.
assert_close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)


@pytest.fixture
def known(tensor, evaluate):
    """Every tensor behind the sum of the entries of a layer's result."""

    def run(layer, **given):
        y = layer(tensor)
        total = bp.define("total", (), bp.sum(y[y.indices], over=y.indices))
        return evaluate(total, **given)

    return run


def test_linear_is_a_matrix_product_and_a_bias(known):
    at = known(lambda z: linear(z, 11, name="fc"))
    assert_close(at["z1"], at["z"] @ at["fc_W"] + at["fc_b"])


def test_flatten_is_a_reshape(known):
    at = known(flatten)
    np.testing.assert_array_equal(at["flat1"], at["z"].reshape(len(at["z"]), -1))


def test_flatten_keeps_what_is_flat():
    x = bp.input("x", 3)
    assert flatten(x) is x


def test_layer_norm_leaves_mean_0_and_variance_1(known):
    xhat = known(lambda z: layer_norm(z, eps=1e-30))["xhat1"]
    assert_close(xhat.mean(-1), 0)
    assert_close(xhat.var(-1), 1)


def test_rms_norm_leaves_mean_square_1(known):
    xhat = known(lambda z: rms_norm(z, eps=1e-30))["xhat1"]
    assert_close((xhat**2).mean(-1), 1)


def test_softmax_gives_probabilities_that_no_size_can_spoil(known):
    p = known(softmax, x=np.linspace(-1e4, 1e4, 101))["p"]
    assert (p >= 0).all()
    assert_close(p.sum(-1), 1)


def test_dropout_scales_what_it_keeps_and_rests_in_prediction(tensor):
    y: Any = dropout(tensor, rate=0.2)
    (mask,) = (v for v in y.parents() if v.tensor.noise)
    assert mask.tensor.noise.law == "bernoulli"
    assert mask.tensor.noise.rate == 0.8
    (training,), (prediction,) = y.equation.terms, y.equation.predict
    assert training.body == tensor[y.indices] * mask[y.indices] * 5 / 4
    assert prediction.body == tensor[y.indices]


def test_a_computed_tensor_stands_for_every_weight_behind_it():
    x = bp.input("x", 3)
    h = layer_norm(linear(x, 5, name="fc1"))
    logits = linear(h, 7, name="fc2")
    assert [v.label for v in l2(logits, strength=0.1).parents()] == ["fc1_W", "fc2_W"]
    assert [v.label for v in l2(h, strength=0.1).parents()] == ["fc1_W"]


def test_a_parameter_is_penalised_itself_and_once(evaluate):
    k = bp.index("k", 3)
    b = bp.parameter("b", k)
    loss = l2(b, b, strength=0.5) + l1(b, strength=2)
    at = evaluate(loss, b=[1, -2, 4])
    assert at["loss"] == 0.5 * 21 + 2 * 7
    assert_close(at["d_b"], [1 + 2, -2 - 2, 4 + 2])


def test_huber_is_a_square_in_the_middle_and_a_line_outside(evaluate):
    k = bp.index("k", 4)
    residuals = np.array([-3, -1, 0.5, 5])
    prediction = bp.parameter("prediction", k)
    zero = bp.define("zero", (k,), 0 * prediction[k])
    at = evaluate(huber(prediction, zero, delta=2), prediction=residuals)
    assert_close(at["loss"], (2 * (3 - 1) + 0.5 + 0.125 + 2 * (5 - 1)) / 4)
    assert_close(at["d_prediction"], np.array([-2, -1, 0.5, 2]) / 4)


def test_smoothing_gives_every_class_its_share(evaluate):
    x, label = bp.input("x", 3), bp.label("answer", classes=5)
    at = evaluate(softmax_cross_entropy(linear(x, 5, name="fc"), label, smoothing=0.1))
    log_p = np.log(at["p"])
    right = log_p[np.arange(len(log_p)), at["answer"]]
    assert_close(at["loss"], -(0.9 * right + 0.1 * log_p.mean(-1)).mean())


def test_a_mean_is_over_all_entries(tensor, evaluate):
    at = evaluate(mean_squared_error(tensor, bp.input("y", 5, 7)))
    assert_close(at["loss"], ((at["z"] - at["y"]) ** 2).mean())


def test_sparse_linear_is_a_loop_over_the_connections_there_are(known):
    at = known(lambda z: sparse_linear(z, 11, 3, seed=2, name="sp"))
    z, W, pattern = at["z"], at["sp_W"], at["sp_pattern"]
    expected = np.tile(at["sp_b"], (*z.shape[:-1], 1))
    slope_z, slope_W = np.zeros_like(z), np.zeros_like(W)
    for h, j in np.ndindex(W.shape):
        expected[..., h] += z[..., pattern[h, j]] * W[h, j]
        # The loss is the sum of all outputs.
        slope_z[..., pattern[h, j]] += W[h, j]
        slope_W[h, j] += z[..., pattern[h, j]].sum()
    assert_close(at["z1"], expected)
    assert_close(at["d_sp_W"], slope_W)
    assert_close(at["d_W"], (slope_z * at["x"]).sum(0))


def test_the_patterns_of_sparse_linear_are_a_fair_choice_that_no_version_changes():
    x = bp.input("x", 5)
    z = sparse_linear(x, 5000, 2, seed=1, name="sp")
    (pattern,) = [v.tensor for v in reachable([z]) if v.tensor.role is Role.TABLE]
    rows = np.reshape(pattern.values, (5000, 2))
    assert rows[:3].tolist() == [[0, 4], [1, 3], [1, 2]]
    kinds, counts = np.unique(rows, axis=0, return_counts=True)
    assert len(kinds) == 10
    assert (kinds[:, 0] < kinds[:, 1]).all()
    # Five standard deviations of a count that is binomial with chance 1/10.
    assert np.abs(counts - 500).max() < 5 * np.sqrt(5000 * 0.1 * 0.9)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("size", [1, 1e4])
def test_masked_softmax_gives_what_is_seen_its_share_and_nothing_else(known, causal, size):
    scores = np.linspace(-size, size, 101)
    seen = np.array([0, 1, 0, 0, 1, 1, 0])
    layer = partial(masked_softmax, mask=bp.label("mask", 7, classes=2), causal=causal)
    at = known(layer, x=scores, mask=seen, W=1.0)
    p, z = at["p"], at["z"]
    allowed = np.broadcast_to(seen == 1, z.shape).copy()
    if causal:
        allowed &= np.tril(np.ones(z.shape[1:])) > 0
    assert (p[~allowed] == 0).all()
    # At t = 0 nothing is seen, if the future is not.
    some = allowed.any(-1)
    assert some.all() != causal
    assert_close(p.sum(-1), some)
    assert np.isfinite(at["d_z"]).all()
    row = z[0, -1][allowed[0, -1]]
    shares = np.exp(row - row.max())
    assert_close(p[0, -1][allowed[0, -1]], shares / shares.sum())


def test_rotary_keeps_lengths_and_products_depend_on_distance_alone(evaluate):
    x = bp.input("x", 7, 6)
    W = bp.parameter("W")
    n, t, k = x.indices
    z = bp.define("z", x.indices, W[()] * x[n, t, k])
    y = rotary(z)
    total = bp.define("total", (), bp.mean(y[y.indices], over=y.indices))
    one = np.arange(1.0, 7)
    at = evaluate(total, x=np.tile(one, 7), W=1.0)
    y = next(a for name, a in at.items() if name.startswith("y"))[0]
    assert_close((y**2).sum(-1), (one**2).sum())
    products = y @ y.T
    for distance in range(7):
        assert np.ptp(np.diagonal(products, distance)) < 1e-10
    assert_close(y[1, :2], [np.cos(1) - 2 * np.sin(1), np.sin(1) + 2 * np.cos(1)])

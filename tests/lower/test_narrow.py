"""Narrow layers: features before examples, and a bias as one more row of the weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bpgen as bp
from bpgen.activations import gelu, relu, tanh
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.emit import module
from bpgen.execute.load import load_module
from bpgen.layers import dropout, linear
from bpgen.losses import mean_squared_error, softmax_cross_entropy
from bpgen.lower import bias_rows, features_first, lower
from bpgen.lower.bias_rows import ROWS_OF_WEIGHTS
from bpgen.lower.features_first import NARROW
from bpgen.optimizers import momentum


def classified(logits):
    digit = bp.label("digit", classes=5)
    return softmax_cross_entropy(logits, digit, smoothing=0.1), {"logits": logits}


def perceptron(inputs=7, hidden=3):
    h = relu(linear(bp.input("x", inputs), hidden, name="fc1"))
    return classified(linear(h, 5, name="fc2"))


def two_readers():
    """Both the input and an activation are read by two layers; one layer follows another."""
    x = bp.input("x", 7)
    h = gelu(linear(x, 3, name="a"))
    return classified(
        linear(h, 5, name="b")
        + linear(linear(h, 2, name="c"), 5, name="g")
        + linear(x, 5, name="e")
    )


def noisy():
    h = dropout(tanh(linear(bp.input("x", 7), 3, name="fc1")), 0.3)
    return classified(linear(h, 5, name="fc2"))


def of_rows():
    """What is predicted meets, entry by entry, what a caller gives in rows."""
    x = bp.input("x", 7)
    return mean_squared_error(linear(tanh(linear(x, 3, name="a")), 7, name="b"), x), {}


def bias_apart():
    """A bias lies before the weights, not behind them."""
    x = bp.input("x", 7)
    (n, d), k = x.indices, bp.index("k", 5)
    b, W = bp.parameter("k_b", k), bp.parameter("k_W", d, k)
    return classified(bp.define("z", (n, k), bp.sum(x[n, d] * W[d, k], over=d) + b[k]))


CASES = (perceptron, two_readers, noisy, of_rows, bias_apart)


def text(declared, **options):
    loss, outputs = declared
    program = lower(derive(network(loss, outputs, name="net")), momentum(0.1))
    return module(program, "net.py", **options)


def loaded(source: str, path: Path) -> Any:
    path.write_text(source, encoding="utf-8")
    return load_module(path)


def in_rows(monkeypatch):
    """Let examples be rows, and every bias be added."""
    monkeypatch.setattr(features_first, "NARROW", 0)
    monkeypatch.setattr(bias_rows, "ROWS_OF_WEIGHTS", 0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_no_layout_of_narrow_layers_changes_a_number(case, tmp_path, monkeypatch):
    few = text(case(), dtype="float64")
    in_rows(monkeypatch)
    rows = text(case(), dtype="float64")
    one, other = (loaded(t, tmp_path / f"{k}.py") for k, t in enumerate((few, rows)))
    batch = one.example(11)
    params = one.init(0)
    params.flat[...] += 0.1  # a bias starts as 0
    loss, gradient = one.loss_and_grad(params, **batch)
    expected, true = other.loss_and_grad(other.Params(params.flat), **batch)
    # Sums of float64 in another order.
    assert abs(loss - expected) <= 1e-14 * abs(expected)
    assert np.abs(gradient.flat - true.flat).max() <= 1e-13 * np.abs(true.flat).max()


def test_a_caller_is_given_rows_whatever_lies_in_memory(tmp_path):
    net = loaded(text(perceptron()), tmp_path / "net.py")
    assert "(K, N)" in (tmp_path / "net.py").read_text()
    predicted = net.predict(net.init(0), x=net.example(11)["x"])["logits"]
    assert predicted.shape == (11, 5)


def test_a_bias_is_a_row_where_a_layer_is_narrow_and_its_bias_beside():
    assert "fc1_W_b" in text(perceptron())
    assert "fc2_W_b" in text(perceptron())
    assert "fc1_W_b" in text(perceptron(inputs=ROWS_OF_WEIGHTS))
    assert "fc1_W_b" not in text(perceptron(inputs=ROWS_OF_WEIGHTS + 1))
    assert "fc2_W_b" not in text(perceptron(hidden=NARROW + 1))
    assert "_W_b" not in text(bias_apart())


def test_the_ones_stay_ones_in_training(tmp_path):
    net = loaded(text(perceptron()), tmp_path / "net.py")
    trainer, batch = net.Trainer(net.init(0)), net.example(11)
    first, *_ = [trainer.step(**batch) for _ in range(30)]
    a = trainer._workspace(11)
    assert (a.x_1[:, -1] == 1).all()
    assert (a.relu1_1[-1] == 1).all()
    assert np.shares_memory(a.relu1, a.relu1_1)
    assert trainer.step(**batch) < first


def test_both_gradients_of_one_product_stand_above_it():
    lines = [line.strip() for line in text(perceptron()).splitlines()]
    place = lines.index("np.dot(a.x_1.T, a.d_z1.T, out=g.fc1_W_b)")
    assert lines[place - 2].startswith("# ∂L/∂fc1_W[")
    assert lines[place - 2].endswith(",")
    assert lines[place - 1].startswith("# ∂L/∂fc1_b[")

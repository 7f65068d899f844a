"""The same in Python: what DESIGN shows, on a model that is declared here and not in a file."""

import importlib

import pytest
import sympy

import bpgen as bp
from bpgen.errors import OptionError
from bpgen.layers import linear
from bpgen.losses import mean_squared_error


def declared():
    x, y = bp.input("x", 3), bp.input("y", 2)
    prediction = linear(x, 2, name="fc")
    return bp.Model(mean_squared_error(prediction, y), {"prediction": prediction})


def test_a_gradient_shows_its_formula_its_expression_and_its_steps():
    gradient = declared().derive()["fc_W"]
    assert str(gradient) == "∂L/∂fc_W[d,h] = Σ_n 2 x[n,d] r[n,h]/(H N)"
    assert [step.through.out.name for step in gradient.steps] == ["prediction"]
    assert gradient.expr.has(sympy.Symbol("x", real=True))


def test_sympy_prints_the_expression_of_every_gradient():
    document = declared().derive()
    for name in document:
        expr = document[name].expr
        for written in (str(expr), sympy.latex(expr), sympy.pretty(expr), repr(expr)):
            assert written
    assert str(document["fc_b"].expr) == "Sum(2*r[n,h]/(H*N), n)"
    assert r"\sum_{n}" in sympy.latex(document["fc_b"].expr)


def test_every_spelling_is_offered():
    document = declared().derive()
    assert str(document).startswith("test_model")
    assert r"\frac{\partial L}{\partial" in document["fc_W"].latex()
    assert document["fc_W"]._repr_latex_().startswith("$")
    assert document._repr_markdown_().startswith("# ")


def test_a_model_is_checked_and_emitted(tmp_path):
    model = declared()
    verdict = model.check(seed=0)
    assert verdict.verdict == "VERIFIED"
    assert verdict.digits >= 90
    net = model.emit(target="numpy", path=tmp_path / "net.py")
    loss, grads = net.loss_and_grad(net.init(seed=0), **net.example(5))
    assert loss > 0
    assert grads.fc_W.shape == (3, 2)


@pytest.mark.parametrize("epochs", [0, -1, "twenty"])
def test_a_model_is_trained_for_an_epoch_at_least(epochs):
    loss = mean_squared_error(linear(bp.input("x", 3), 2, name="fc"), bp.input("y", 2))
    with pytest.raises(OptionError, match="`epochs` is out of range"):
        bp.Model(loss, epochs=epochs)


def test_a_large_model_is_emitted_at_reduced_extents_too(monkeypatch):
    monkeypatch.setattr(importlib.import_module("bpgen.verify.check"), "BUDGET", 0)
    verdict = bp.load("digits_mlp").check(seed=1)
    assert verdict.verdict == "VERIFIED", str(verdict)
    assert verdict.parameters["fc1_W"] == 64 * 32
    assert max(verdict.extents.values()) < 10
    for codes in (verdict.emitted, verdict.measured.emitted):
        assert [code.label for code in codes] == ["numpy float64", "numpy float32"]
        assert all(0 < code.error < 1e-5 for code in codes)

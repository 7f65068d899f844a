"""The gradient of a large embedding: each word adds up the positions where it stands."""

import numpy as np
import pytest

import bpgen as bp
from bpgen.device.host import has_compiler
from bpgen.device.standin import installed
from bpgen.execute.load import load_module

WORDS = '''"""The mean of embedded words, and its class."""
import sympy

import bpgen as bp
from bpgen.layers import embedding, linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import sgd

words = bp.input("words", 5, dtype="int", below=137)
kind = bp.label("kind", classes=3)
h = embedding(words, 11, name="table")
n, t, c = h.indices
mean = bp.define("mean", (n, c), bp.mean(sympy.tanh(h[n, t, c]), over=t))
logits = linear(mean, 3, name="fc")
model = bp.Model(softmax_cross_entropy(logits, kind), {"logits": logits}, sgd(0.5))
'''


@pytest.mark.skipif(not has_compiler(), reason="needs g++")
def test_the_gradient_of_an_embedding_is_that_of_the_host(tmp_path):
    (tmp_path / "words.py").write_text(WORDS, encoding="utf-8")
    model = bp.load(tmp_path / "words.py")
    for target in ("numpy", "cupy"):
        (tmp_path / f"{target}.py").write_text(model.source(target, "float64"), encoding="utf-8")
    assert "k.by_match(" in (tmp_path / "cupy.py").read_text("utf-8")
    with installed():
        host, device = (load_module(tmp_path / f"{t}.py") for t in ("numpy", "cupy"))
    batch = host.example(41)
    _, grads = host.loss_and_grad(host.init(1), **batch)
    _, found = device.loss_and_grad(device.init(1), **batch)
    np.testing.assert_allclose(found.table_W.get(), grads.table_W, rtol=1e-10, atol=1e-15)
    one, other = host.Trainer(host.init(1), 41), device.Trainer(device.init(1), 41)
    for _ in range(4):
        np.testing.assert_allclose(other.step(**batch), one.step(**batch), rtol=1e-12)

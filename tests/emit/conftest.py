"""Modules that are emitted for the tests."""

import pytest

import bpgen as bp

NOISY = '''"""A network with noise, a penalty, clipping and a schedule."""
import bpgen as bp
from bpgen.activations import gelu
from bpgen.layers import dropout, linear
from bpgen.losses import l2, softmax_cross_entropy
from bpgen.optimizers import adamw, cosine

x = bp.input("x", 5)
label = bp.label("label", classes=3)
h = dropout(gelu(linear(x, 7, name="fc1", init=bp.init.orthogonal())), 0.25)
logits = linear(h, 3, name="fc2")
loss = softmax_cross_entropy(logits, label, smoothing=0.1) + l2(logits, strength=1e-3)
rate = cosine(0.01, steps=100, warmup=10)
model = bp.Model(loss=loss, outputs={"logits": logits}, optimizer=adamw(rate, clip=1.0))
'''


@pytest.fixture
def emitted(tmp_path):
    """Emit a model of the zoo, or a file, and import what was written."""

    def run(name, dtype="float32"):
        return bp.load(name).emit(path=tmp_path / f"emitted_{dtype}.py", dtype=dtype)

    return run


@pytest.fixture
def noisy(tmp_path):
    """The path of a model that uses what the zoo's models do not."""
    path = tmp_path / "noisy.py"
    path.write_text(NOISY, encoding="utf-8")
    return path

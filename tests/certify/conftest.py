"""Small models, their modules, and their certificates."""

import json

import pytest

import bpgen as bp

NORMED = '''"""A normed network."""
import bpgen as bp
from bpgen.activations import tanh
from bpgen.layers import layer_norm, linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import sgd

x = bp.input("x", 5)
answer = bp.label("answer", classes=3)
h = tanh(layer_norm(linear(x, 7, name="fc1"), name="ln"))
logits = linear(h, 3, name="fc2")
model = bp.Model(loss=softmax_cross_entropy(logits, answer), optimizer=sgd(0.1))
'''


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """The models by name: two of the zoo, and one with a normalisation."""
    path = tmp_path_factory.mktemp("models") / "normed.py"
    path.write_text(NORMED)
    zoo = ("one_hidden_layer", "mixture_density", "k_of_n")
    return {"normed": bp.load(path), **{name: bp.load(name) for name in zoo}}


@pytest.fixture(scope="session")
def certified(models, tmp_path_factory):
    """A folder with the certificate of `normed`, and its module in both dtypes."""
    model, folder = models["normed"], tmp_path_factory.mktemp("certified")
    found = model.certificate(model.check(seed=3))
    (folder / "certificate.json").write_text(json.dumps(found))
    for dtype in ("float32", "float64"):
        (folder / f"{dtype}.py").write_text(model.source(dtype=dtype))
    return folder

"""A framework's own functions are what the forward is compared with, call by call."""

import sys
from importlib import import_module

import pytest

from bpgen import activations, layers, losses
from bpgen.against import record
from bpgen.against.compare import against
from bpgen.declare.load import zoo
from bpgen.model import load

pytestmark = pytest.mark.oracle
CHAINED = ("digits_mlp", "residual_mlp", "k_of_n", "one_hidden_layer")

MODEL = '''"""A model with a layer of its own."""
import bpgen as bp
from bpgen.layers import layer_norm, linear
from bpgen.losses import mean_squared_error

bent = bp.activation(lambda z: z / (1 + z**2), name="bent")
x, y = bp.input("x", 5), bp.input("y", 3)
h = layer_norm(linear(x, 7, name="fc1"), name="ln", eps=EPS)
prediction = linear(bent(h), 3, name="fc2")
model = bp.Model(loss=mean_squared_error(prediction, y))
'''


@pytest.fixture(params=["torch", "jax"])
def framework(request):
    pytest.importorskip(request.param)
    return import_module(f"bpgen.against.{request.param}")


@pytest.fixture
def torch():
    pytest.importorskip("torch")
    return import_module("bpgen.against.torch")


@pytest.mark.parametrize("name", zoo())
def test_every_model_that_ships_agrees_where_there_are_counterparts(name, framework):
    found = against(name, framework, seed=1)
    assert found.verdict == "VERIFIED", found


@pytest.mark.parametrize("name", CHAINED)
def test_a_model_of_counterparts_alone_is_compared_to_its_loss_and_gradient(name, torch):
    found = against(name, torch, seed=1)
    assert found.chained
    gradients = {p.tensor for p in found.parts if p.entry == "gradient"}
    assert gradients == {f"d_{p.name}" for p in load(name).network.parameters}


def test_a_layer_without_a_counterpart_is_named_and_the_rest_compared(torch, tmp_path):
    path = tmp_path / "own.py"
    path.write_text(MODEL.replace("EPS", "1e-5"))
    found = against(str(path), torch, seed=1)
    assert found.verdict == "VERIFIED"
    assert not found.chained
    entries = [p.entry for p in found.parts]
    assert entries == ["linear", "layer_norm", "linear", "mean_squared_error"]


def test_a_forward_that_is_not_the_framework_s_is_refuted(torch, tmp_path, monkeypatch):
    path = tmp_path / "own.py"
    path.write_text(MODEL.replace("EPS", "1e-5"))
    theirs = torch.ENTRIES["layer_norm"]

    def without_eps(a, p):
        a.eps = 0
        return theirs(a, p)

    monkeypatch.setitem(torch.ENTRIES, "layer_norm", without_eps)
    found = against(str(path), torch, seed=1)
    assert found.verdict == "REFUTED"
    assert next(p.entry for p in found.parts if p.agrees is False) == "layer_norm"


def test_a_definition_that_torch_lacks_is_said_to_have_no_counterpart(torch, monkeypatch):
    entries = {k: v for k, v in torch.ENTRIES.items() if k != "relu"}
    monkeypatch.setattr(torch, "ENTRIES", entries)
    found = against("digits_mlp", torch, seed=1)
    assert [p.tensor for p in found.parts if p.agrees is None] == ["h"]
    assert "relu  h: no counterpart" in str(found)
    assert "3 of 4 calls have a counterpart" in str(found)


def test_recording_leaves_the_catalog_as_it_was():
    before = [vars(room).copy() for room in (layers, activations, losses)]
    with record.recorded() as calls:
        load("digits_mlp")
    assert [c.entry for c in calls] == ["linear", "relu", "linear", "softmax_cross_entropy"]
    assert before == [vars(room) for room in (layers, activations, losses)]


def test_a_table_names_definitions_of_the_catalog_only(framework):
    known = {name for room in (layers, activations, losses) for name in room.__all__}
    assert set(framework.ENTRIES) <= known
    assert len(framework.ENTRIES) > 20
    assert framework.NAME in sys.modules

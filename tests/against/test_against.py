"""A framework's own functions are what a model is compared with, call by call."""

from functools import cache
from importlib import import_module

import pytest

import bpgen as bp
from bpgen import activations, layers, losses
from bpgen.against import record
from bpgen.against.compare import against, compared
from bpgen.against.truth import evaluated, truth
from bpgen.declare.load import zoo
from bpgen.model import Model, load

pytestmark = pytest.mark.oracle

# What the equations give between inputs and loss: formulas of the model's own.
BORROWED = {
    "bag_of_embeddings": ("bag",),
    "factorization_machine": ("fm_y", "target"),
    "mixture_density": ("mean",),
    "variational_autoencoder": ("code",),
}
LANGUAGE = {"sum", "difference", "product", "quotient", "power", "sliced"}

MODEL = '''"""A model with a layer of its own."""
import bpgen as bp
from bpgen.layers import layer_norm, linear
from bpgen.losses import mean_squared_error

bent = bp.activation(lambda z: z / (1 + z**2), name="bent")
x, y = bp.input("x", 5), bp.input("y", 3)
h = layer_norm(linear(x, 7, name="fc1"), name="ln")
prediction = linear(bent(h), 3, name="fc2")
model = bp.Model(loss=mean_squared_error(prediction, y))
'''


@cache
def known(name):
    return truth(name, seed=1)


@pytest.fixture(params=["torch", "jax"])
def framework(request):
    pytest.importorskip(request.param)
    return import_module(f"bpgen.against.{request.param}")


@pytest.fixture
def torch():
    pytest.importorskip("torch")
    return import_module("bpgen.against.torch")


@pytest.fixture
def own_model(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(MODEL)
    return str(path)


def declared(prediction):
    """The comparison to be made of what `prediction` builds, against a target of its axes."""
    with record.recorded() as steps:
        y = prediction(bp.input("x", 5, 6))
        target = bp.input("target", *y.tensor.shape[1:])
        model = Model(losses.mean_squared_error(y, target))
    return evaluated(model, tuple(steps), seed=1)


def gradients(found):
    return {p.tensor for p in found.parts if p.entry == "gradient"}


@pytest.mark.parametrize("name", zoo())
def test_every_model_that_ships_agrees_call_by_call_and_in_its_gradient(name, framework):
    found = compared(known(name), framework)
    assert found.verdict == "VERIFIED", found
    assert all(p.agrees for p in found.parts)
    assert found.borrowed == BORROWED.get(name, ())
    if found.chained:
        assert gradients(found) == {f"d_{p.name}" for p in load(name).network.parameters}


def test_every_definition_of_the_catalog_has_a_counterpart(framework):
    catalog = {name for room in (layers, activations, losses) for name in room.__all__}
    assert set(framework.ENTRIES) == catalog | LANGUAGE


def twice(h):
    """A block with a block in it, which reads a tensor of the outer one."""
    gate = layers.linear(h, 6, name="gate")

    def inner(u):
        return u + activations.tanh(layers.linear(u * gate, 6, name="up"))

    return bp.repeat(inner, 2, gate, name="inner") * gate


def test_a_block_in_a_block_is_compared_each_time_it_is_run(framework):
    found = compared(declared(lambda x: bp.repeat(twice, 3, x, name="outer")), framework)
    assert found.chained
    assert all(p.agrees for p in found.parts)
    blocks = {p.tensor.partition("[")[2] for p in found.parts if p.entry == "tanh"}
    assert blocks == {f"{outer},{inner}]" for outer in range(3) for inner in range(2)}
    assert len(gradients(found)) == 4


def scanned(x):
    """A recurrence of the user's own, with calls in it."""
    n, t, k = x.indices
    h = bp.recurrence("h", (n, t, k), over=t)
    before = bp.define("before", (n, t, k), h[n, t - 1, k])
    z = activations.tanh(layers.linear(before, 6, name="past") + layers.linear(x, 6, name="now"))
    return layers.linear(h.becomes(z[n, t, k]), 3, name="out")


def test_calls_in_a_recurrence_are_compared_at_all_steps_and_the_state_is_said_to_be_ours(
    framework,
):
    found = compared(declared(scanned), framework)
    assert found.verdict == "VERIFIED"
    entries = [p.entry for p in found.parts]
    assert entries == ["linear", "linear", "sum", "tanh", "linear", "mean_squared_error"]
    assert found.borrowed == ("h",)
    assert "6 of 6 calls have a counterpart; between the inputs and the loss: h" in str(found)


def unnamed(x):
    """Layers whose parameters bpgen names: those of one call are told apart by their order."""
    gated = layers.glu(x, 6) + layers.swiglu(x, 6, bias=False) * layers.highway(x)
    mixed = layers.mixture_of_experts(gated, 6, 2)
    both = layers.bidirectional(layers.gru, mixed, 3, start=0.5)
    return layers.squeeze_excitation(both, 5)[:, 1:]


def test_layers_without_names_are_compared_too(framework):
    found = compared(declared(unnamed), framework)
    assert found.chained
    assert all(p.agrees for p in found.parts)


@pytest.mark.parametrize(
    ("entry", "ours"),
    [
        ("rnn", lambda x: layers.rnn(x, 3, activation=activations.sigmoid)),
        ("bidirectional", lambda x: layers.bidirectional(layers.gru, x, 3, truncate=2)),
        ("sliced", lambda x: layers.linear(x, 3)[:, ::-1]),
        ("max_pool", lambda x: layers.max_pool(cube(x), (2, 2, 4), padding=(0, 0, 2))),
    ],
)
def test_options_that_torch_lacks_have_no_counterpart_there_but_one_in_jax(entry, ours, torch):
    pytest.importorskip("jax")
    jax = import_module("bpgen.against.jax")
    subject = declared(ours)
    assert [p.entry for p in compared(subject, torch).parts if p.agrees is None] == [entry]
    found = compared(subject, jax)
    assert found.chained
    assert all(p.agrees for p in found.parts)


def cube(x):
    return layers.reshape(layers.linear(x, 4), 1, 5, 2, 2)


def test_a_layer_of_the_user_s_own_is_named_and_the_rest_compared(torch, own_model):
    found = against(own_model, torch, seed=1)
    assert found.verdict == "VERIFIED"
    assert not found.chained
    assert "bent" in "".join(found.borrowed)
    entries = [p.entry for p in found.parts]
    assert entries == ["linear", "layer_norm", "linear", "mean_squared_error"]


def test_a_forward_that_is_not_the_framework_s_is_refuted(framework, own_model, monkeypatch):
    theirs = framework.ENTRIES["layer_norm"]

    def without_eps(a, p):
        a.eps = 0
        return theirs(a, p)

    monkeypatch.setitem(framework.ENTRIES, "layer_norm", without_eps)
    found = against(own_model, framework, seed=1)
    assert found.verdict == "REFUTED"
    assert next(p.entry for p in found.parts if p.agrees is False) == "layer_norm"


def test_a_block_that_is_not_the_framework_s_is_refuted_from_the_first_one_on(torch, monkeypatch):
    monkeypatch.setitem(torch.ENTRIES, "tanh", lambda a, p: a.z.tanh() * (1 + 1e-9))
    found = compared(declared(lambda x: bp.repeat(twice, 3, x)), torch)
    assert found.verdict == "REFUTED"
    assert next(p for p in found.parts if p.agrees is False).tensor.endswith("[0,0]")


def test_a_gradient_that_is_not_the_framework_s_is_refuted(torch, monkeypatch):
    monkeypatch.setitem(torch.ENTRIES, "relu", lambda a, p: a.z.detach().relu())
    found = compared(known("three_layer_relu"), torch)
    assert found.verdict == "REFUTED"
    assert {p.entry for p in found.parts if p.agrees is False} == {"gradient"}


def test_a_definition_that_torch_lacks_is_said_to_have_no_counterpart(torch, monkeypatch):
    entries = {k: v for k, v in torch.ENTRIES.items() if k != "relu"}
    monkeypatch.setattr(torch, "ENTRIES", entries)
    found = compared(known("digits_mlp"), torch)
    assert [p.tensor for p in found.parts if p.agrees is None] == ["h"]
    assert "relu  h: no counterpart" in str(found)
    assert "3 of 4 calls have a counterpart" in str(found)
    assert found.to_json()["borrowed"] == ["h"]


def test_recording_leaves_the_catalog_as_it_was():
    before = [vars(room).copy() for room in (layers, activations, losses)]
    repeat = bp.repeat
    with record.recorded() as steps:
        load("digits_mlp")
    assert len(steps) == 4
    assert before == [vars(room) for room in (layers, activations, losses)]
    assert bp.repeat is repeat

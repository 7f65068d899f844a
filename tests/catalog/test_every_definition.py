"""Every definition says what it computes, and computes it forwards only."""

import importlib
import inspect
import re
from pathlib import Path

import bpgen as bp
from bpgen.declare.network import network

SOURCED = ("activations", "losses", "optimizers")


def room_of(definition):
    return definition.__module__.split(".")[1]


def test_it_is_offered_by_its_package(definition):
    package = importlib.import_module(f"bpgen.{room_of(definition)}")
    assert getattr(package, definition.__name__) is definition
    assert definition.__name__ in package.__all__


def test_its_docstring_states_a_formula_and_where_it_comes_from(definition):
    doc = inspect.getdoc(definition) or ""
    first, blank, *_ = doc.splitlines()
    assert first.endswith(".")
    assert not blank
    assert "Formula:\n    " in doc
    assert "Source: " in doc or room_of(definition) not in SOURCED


def test_a_layer_and_a_loss_name_their_errors(definition):
    if room_of(definition) in {"layers", "losses"}:
        assert "Errors: " in (inspect.getdoc(definition) or "")


def test_its_source_differentiates_nothing(definition):
    source = Path(inspect.getfile(definition)).read_text(encoding="utf-8")
    assert ".diff(" not in source
    assert not re.search(r"\bd_", source)


def test_an_activation_keeps_the_axes_of_a_tensor_of_any_rank(activation, tensor):
    n, d, k = tensor.indices
    for indices in [(), (n,), (n, d), (n, d, k)]:
        x = bp.define("mean", indices, bp.mean(tensor[n, d, k], over={n, d, k} - {*indices}))
        y = activation(x)
        assert y.indices == indices
        network(bp.define("total", (), bp.mean(y[indices], over=indices)), {}, name="t").check()


def test_a_layer_declares_a_network(layer, declared):
    y = declared(layer)
    net = network(bp.define("total", (), bp.mean(y[y.indices], over=y.indices)), {}, name="t")
    net.check()


def test_a_loss_is_a_number(loss, declared):
    assert declared(loss).indices == ()
    network(declared(loss), {}, name="t").check()

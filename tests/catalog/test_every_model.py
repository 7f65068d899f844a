"""Every model of the zoo is a model file, and fits the data set that it names."""

import ast
import re

import bpgen as bp
from bpgen.declare.load import ZOO
from bpgen.execute import dataset, sources


def test_it_loads_and_its_network_is_well_formed(model):
    loaded = bp.load(model)
    loaded.network.check()
    assert loaded.network.name == model
    assert loaded.network.outputs


def test_its_docstring_is_one_line(model):
    doc = ast.get_docstring(ast.parse((ZOO / f"{model}.py").read_text(encoding="utf-8"))) or ""
    assert len(doc.splitlines()) == 1
    assert doc.endswith(".")


def test_the_data_set_it_names_ships_and_has_what_it_reads(model):
    loaded = bp.load(model)
    assert loaded.data in sources.known()
    data = dataset.read([loaded.data], loaded.network.inputs, dtype="float32").arrays
    for tensor in loaded.network.inputs:
        assert data[tensor.name].shape[1:] == tensor.shape[1:]
        if tensor.below is not None:
            assert data[tensor.name].max() == tensor.below - 1


def test_every_name_in_it_is_the_author_s_or_reads_well(model):
    network = bp.load(model).network
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) for name in network.tensors)

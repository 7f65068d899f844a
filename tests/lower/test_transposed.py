"""A matrix that a loop would read by its columns is copied once, and no number changes."""

import numpy as np
import pytest

import bpgen as bp
from bpgen.cost import NUMPY
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.emit import module
from bpgen.execute.load import load_module
from bpgen.ir.program import Step, Turns, steps_of
from bpgen.layers import gru, linear, lstm, rnn
from bpgen.losses import mean_squared_error
from bpgen.lower import in_memory, lower
from bpgen.lower.transposed import transposed
from bpgen.optimizers import sgd

FEW, MANY = 3, 7  # turns; a copy costs as much as four products spare


def program(layer, turns, blocks=0):
    """A recurrent layer, or several one behind the other, and a linear one."""
    x, y = bp.input("x", turns, 5), bp.input("y", turns, 2)
    if blocks:
        h = bp.repeat(lambda h: layer(h, 5, name="cell"), blocks, x, name="block")
    else:
        h = layer(x, 11, name="cell")
    z = linear(h, 2, name="out")
    net = network(mean_squared_error(z, y), {"z": z}, name="layer")
    return lower(derive(net), sgd())


def test_what_is_few_and_what_is_many_differ_in_what_pays():
    rates = NUMPY.entries
    assert FEW * rates["by columns"] < rates["transpose"] < MANY * rates["by columns"]


@pytest.mark.parametrize("layer", [rnn, lstm, gru])
def test_a_loop_reads_a_copy_that_is_made_before_it(layer):
    found = in_memory(program(layer, MANY))
    (copy,) = (
        p
        for p in found.backward
        if isinstance(p, Step) and p.equation.out.name == "transposed_cell_U"
    )
    (loop,) = (p for p in found.backward if isinstance(p, Turns))
    assert found.backward.index(copy) < found.backward.index(loop)
    assert copy.equation.reads() == ("cell_U",)
    read = {name for s in steps_of((loop,)) for name in s.equation.reads()}
    assert "transposed_cell_U" in read
    assert "cell_U" not in read


def test_a_matrix_that_a_loop_reads_by_rows_stays_where_it_is():
    found = in_memory(program(lstm, MANY))
    assert all("transposed" not in n for s in steps_of(found.forward) for n in s.equation.reads())


def test_few_turns_do_not_pay_for_a_copy():
    assert not in_memory(program(lstm, FEW)).made


def test_a_matrix_of_each_block_is_copied_in_its_turn():
    found = in_memory(program(lstm, MANY, blocks=3))
    (outer,) = (p for p in found.backward if isinstance(p, Turns))
    copies = [p for p in outer.parts if isinstance(p, Step) and p.equation.out.name in found.made]
    assert [c.equation.reads() for c in copies] == [("block_cell_U",)]
    assert [i.name for i in found.arrays["transposed_block_cell_U"].indices] == ["m", "k"]


@pytest.mark.parametrize("blocks", [0, 3])
@pytest.mark.parametrize("layer", [rnn, lstm, gru])
def test_a_copy_changes_no_gradient(layer, blocks, tmp_path, monkeypatch):
    gradients = []
    for name, pass_ in (("copied", transposed), ("read", lambda p: p)):
        monkeypatch.setattr("bpgen.lower.memory.transposed", pass_)
        path = tmp_path / f"{name}.py"
        path.write_text(module(program(layer, MANY, blocks), "t.py", dtype="float64"))
        net = load_module(path)
        assert ("transposed" in path.read_text(encoding="utf-8")) == (name == "copied")
        gradients.append(net.loss_and_grad(net.init(0), **net.example(4))[1].flat)
    # Sums of float64 in another order.
    assert np.abs(gradients[0] - gradients[1]).max() <= 1e-13 * np.abs(gradients[0]).max()

"""Where the time of a step goes, as an emitted module measures it, and as formulas foretell it."""

import sys

import numpy as np
import pytest

import bpgen as bp
from bpgen.declare.load import zoo
from bpgen.lower import in_memory
from bpgen.summary import kernels, rows


@pytest.mark.parametrize("name", ["digits_mlp", "char_gpt", "char_lstm", "resnet_digits"])
def test_every_formula_of_a_step_is_timed_and_foretold(emitted, name):
    model = bp.load(name)
    net = emitted(name)
    measured = net.Trainer(net.init(0)).profile(steps=1, **net.example(3))
    foretold = {row.place for row in rows(in_memory(model.program()), 3)}
    assert set(measured) == foretold


def test_a_profile_leaves_training_where_it_is(emitted, noisy):
    net = emitted(noisy)
    trainer = net.Trainer(net.init(0))
    before = trainer.params.flat.copy()
    trainer.profile(steps=2, **net.example(4))
    assert trainer.steps == 0
    assert sys.gettrace() is None
    np.testing.assert_array_equal(trainer.params.flat, before)


def test_the_time_of_formulas_is_that_of_the_step(emitted):
    net = emitted("lenet_digits")
    batch = net.example(512)
    measured = net.Trainer(net.init(0)).profile(steps=5, **batch)
    # Convolutions are what such a step is made of, whatever else the machine does.
    longest = sorted(measured, key=measured.get)[-6:]
    assert any("conv" in formula for _, formula in longest)
    assert all(seconds >= 0 for seconds in measured.values())


@pytest.mark.parametrize("name", zoo())
def test_a_cost_is_foretold_for_every_model_and_grows_with_the_batch(name):
    model = bp.load(name)
    program = model.program()
    few, many = (rows(in_memory(program), batch) for batch in (2, 2000))
    assert [row.place for row in few] == [row.place for row in many]
    assert all(one.seconds <= other.seconds for one, other in zip(few, many, strict=True))
    assert sum(row.parameters for row in few) == sum(t.entries for t in model.network.parameters)


@pytest.mark.parametrize("name", zoo())
def test_kernels_of_a_step_multiply_as_often_as_its_statements(name):
    program = bp.load(name).program()
    launched = sum(row.multiply_adds for row in kernels(program, 7))
    assert launched == sum(row.multiply_adds for row in rows(program, 7))
    assert all(row.kernel and row.bytes > 0 for row in kernels(program, 7))

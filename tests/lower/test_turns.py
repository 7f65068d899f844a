"""What one turn of a loop alone reads lies once in memory, whatever the target."""

import pytest

import bpgen as bp
from bpgen.ir.program import Turns, steps_of
from bpgen.lower import in_memory, on_device

LOOPS = ["char_gpt", "char_gru", "char_lstm"]


@pytest.mark.parametrize("name", LOOPS)
def test_a_buffer_lacks_the_axis_of_a_loop_on_the_device_as_on_the_host(name):
    program = bp.load(name).program()
    found = on_device(program).in_turn
    assert found
    assert found == in_memory(program).in_turn


def test_gradients_of_stacked_parameters_are_computed_where_their_block_is():
    program = on_device(bp.load("char_gpt").program())
    (loop,) = (part for part in program.backward if isinstance(part, Turns))
    inside = {step.equation.out.name for step in steps_of((loop,))}
    stacked = {f"d_{t.name}" for t in program.network.parameters if t.init and t.init.stacked}
    assert stacked
    assert stacked <= inside

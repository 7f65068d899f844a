"""How a program lies in the memory of a processor: its loops, its buffers, the order of axes."""

from __future__ import annotations

from dataclasses import replace

from bpgen.ir.program import Program
from bpgen.lower.again import computed_again
from bpgen.lower.axes import in_turn
from bpgen.lower.batch_last import batch_last
from bpgen.lower.bias_rows import bias_rows
from bpgen.lower.features_first import features_first
from bpgen.lower.folds import folded
from bpgen.lower.row_blocks import row_blocks
from bpgen.lower.sight import spelled
from bpgen.lower.transposed import transposed
from bpgen.lower.turns import by_turns, inward
from bpgen.lower.turns_first import turns_first


def in_memory(program: Program) -> Program:
    """Return `program` with the loops, buffers and axes that suit a processor with caches."""
    moved = batch_last(turns_first(folded(by_turns(transposed(program)))))
    return row_blocks(bias_rows(features_first(moved)))


def on_device(program: Program) -> Program:
    """Return `program` with the loops and buffers that suit a GPU, whose kernels are spelled.

    There an equation is one kernel, whatever its statements are: these stay. What it is to compute
    `again` is in its backward pass.
    """
    found = computed_again(inward(program), program.again)
    return replace(found, in_turn=in_turn(found, spelled(found)))

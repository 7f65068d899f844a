"""How a program lies in the memory of a processor: its loops, its buffers, the order of axes."""

from __future__ import annotations

from bpgen.ir.program import Program
from bpgen.lower.batch_last import batch_last
from bpgen.lower.bias_rows import bias_rows
from bpgen.lower.features_first import features_first
from bpgen.lower.folds import folded
from bpgen.lower.row_blocks import row_blocks
from bpgen.lower.transposed import transposed
from bpgen.lower.turns import by_turns
from bpgen.lower.turns_first import turns_first


def in_memory(program: Program) -> Program:
    """Return `program` with the loops, buffers and axes that suit a processor with caches."""
    moved = batch_last(turns_first(folded(by_turns(transposed(program)))))
    return row_blocks(bias_rows(features_first(moved)))

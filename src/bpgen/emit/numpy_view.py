"""From a program to the view of its numpy module."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from bpgen.emit.budget import said_of_bound
from bpgen.emit.contract import NOISE_ARGS, Contract, plain
from bpgen.emit.functions import Functions
from bpgen.emit.layout import Memory, vector_lines
from bpgen.emit.second_view import second_view
from bpgen.emit.share_view import share_fields
from bpgen.emit.tensors import as_tuple
from bpgen.emit.view import FunctionView, NumpyModuleView, WorkspaceView
from bpgen.emit.workspaces import APART, LENT, Workspaces
from bpgen.emit.wrap import WIDTH
from bpgen.ir.program import Blocks, Program
from bpgen.lower import in_memory
from bpgen.lower.by_rows import BLOCK, BLOCKS_AT_LEAST
from bpgen.lower.meetings import with_meetings
from bpgen.lower.share import Shares, shares_of
from bpgen.spell import FormulaSpeller, derivatives_of, order_of
from bpgen.targets.numpy.scratch import ENTRIES, EVEN, GAP
from bpgen.targets.numpy.windows import WINDOWS

WRITTEN_FOR = "Chains of maps run in blocks of rows: a step is written for {} examples."


def view_of(program: Program, declared_in: str, dtype: str) -> NumpyModuleView:
    """Return the view of the module that trains `program`."""
    told, program = said_of_bound(program), in_memory(program)
    found = shares_of(program)
    program = with_meetings(program, found) if isinstance(found, Shares) else program
    net, memory = program.network, Memory.of(program)
    speller = FormulaSpeller(
        order_of(program.tensors.values()), derivatives_of(program.tensors.values())
    )
    contract, written = Contract(program, memory, speller), Functions.of(program, memory, speller)
    functions, init = written.views(), contract.tensors.init()
    noise = contract.tensors.noise(written.network.scratch)
    inputs, drawn = [t.name for t in net.inputs], NOISE_ARGS if noise else ()
    workspaces = Workspaces(program, memory, speller, written).views()
    whole, block = written.update.scratch, written.block.scratch
    scratch = (*vector_lines(whole, "SIZE"), *vector_lines(block, "BLOCK"))
    code = "\n".join([*init, *_lines(functions), *_made(workspaces), *scratch])
    in_blocks = "= blocks(" in code
    return NumpyModuleView(
        origin=(
            plain(f"Written by `bpgen emit {net.name}` from {declared_in}; needs numpy alone."),
            *(("", *textwrap.wrap(told, WIDTH)) if told else ()),
            *(("", WRITTEN_FOR.format(program.batch)) if in_blocks else ()),
        ),
        needs_math=any(f"{word}(" in code for word in (LENT, APART, "orthogonal"))
        or "math." in code
        or contract.tensors.has_blocks,
        needs_erf="erf(" in code,
        needs_lent=f"{LENT}(" in code,
        needs_windows=f"{WINDOWS}(" in code,
        needs_orthogonal="orthogonal(" in code,
        tile=str(ENTRIES) if "= tiles(" in code else "",
        even=str(EVEN),
        gap=str(GAP),
        block_of_rows=str(BLOCK) if in_blocks else "",
        several_blocks=str(BLOCKS_AT_LEAST * BLOCK),
        init=init,
        noise=noise,
        second=second_view(memory, functions, inputs, drawn),
        workspaces=workspaces,
        state_vectors=as_tuple(f"self.{s.name}" for s in program.optimizer.states),
        update_scratch=tuple(dict.fromkeys(scratch)),
        block=next((str(p.size) for p in program.update if isinstance(p, Blocks)), ""),
        **share_fields(program, memory, found),
        **contract.fields(dtype, functions, has_noise=bool(noise)),
    )


def _lines(functions: Iterable[FunctionView]) -> Iterator[str]:
    return (line for f in functions for step in f.steps for line in step.lines)


def _made(workspaces: Iterable[WorkspaceView]) -> Iterator[str]:
    """Yield the code that makes what workspaces hold."""
    for workspace in workspaces:
        yield from (*workspace.tiles, *workspace.constants)
        yield from (buffer.make for buffer in workspace.buffers)

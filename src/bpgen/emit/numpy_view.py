"""From a program to the view of its numpy module."""

from __future__ import annotations

import textwrap

from bpgen.emit.budget import said_of_bound
from bpgen.emit.contract import NOISE_ARGS, Contract, plain
from bpgen.emit.functions import Functions
from bpgen.emit.layout import Memory, vector_lines
from bpgen.emit.second_view import second_view
from bpgen.emit.share_view import share_fields
from bpgen.emit.tensors import as_tuple
from bpgen.emit.view import NumpyModuleView
from bpgen.emit.workspaces import APART, LENT, Workspaces
from bpgen.emit.wrap import WIDTH
from bpgen.ir.program import Blocks, Program
from bpgen.lower import in_memory
from bpgen.lower.meetings import with_meetings
from bpgen.lower.share import Shares, shares_of
from bpgen.spell import FormulaSpeller, derivatives_of, order_of
from bpgen.targets.numpy.scratch import ENTRIES, EVEN, GAP
from bpgen.targets.numpy.windows import WINDOWS


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
    code = "\n".join(
        [
            *init,
            *(line for f in functions for s in f.steps for line in s.lines),
            *(line for w in workspaces for line in (*w.tiles, *w.constants)),
            *(buffer.make for w in workspaces for buffer in w.buffers),
            *scratch,
        ]
    )
    return NumpyModuleView(
        origin=(
            plain(f"Written by `bpgen emit {net.name}` from {declared_in}; needs numpy alone."),
            *(("", *textwrap.wrap(told, WIDTH)) if told else ()),
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

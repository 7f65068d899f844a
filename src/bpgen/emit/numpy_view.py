"""From a program to the view of its numpy module."""

from __future__ import annotations

from typing import Any

from bpgen.emit.contract import NOISE_ARGS, Contract, plain
from bpgen.emit.functions import Functions
from bpgen.emit.layout import Memory, scratch_lines
from bpgen.emit.second_view import second_view
from bpgen.emit.share_view import share_fields
from bpgen.emit.tensors import as_tuple
from bpgen.emit.view import NumpyModuleView
from bpgen.ir.program import Blocks, Program
from bpgen.ir.tensor import Role
from bpgen.lower import batch_last, folded
from bpgen.spell import FormulaSpeller, derivatives_of, order_of
from bpgen.targets.numpy.scratch import ENTRIES
from bpgen.targets.numpy.windows import WINDOWS


def view_of(program: Program, declared_in: str, dtype: str) -> NumpyModuleView:
    """Return the view of the module that trains `program`."""
    program = batch_last(folded(program))
    net, memory = program.network, Memory.of(program)
    speller = FormulaSpeller(
        order_of(program.tensors.values()), derivatives_of(program.tensors.values())
    )
    contract, written = Contract(program, memory, speller), Functions.of(program, memory, speller)
    functions, init = written.views(), contract.tensors.init()
    noise = contract.tensors.noise(written.forward.scratch)
    buffers = _buffers(program, memory, speller, written)
    inputs, drawn = [t.name for t in net.inputs], NOISE_ARGS if noise else ()
    second = second_view(written, functions, inputs, drawn, speller)
    code = "\n".join(
        [
            *init,
            *(line for f in functions for s in f.steps for line in s.lines),
            *buffers["forward_scratch"],
            *buffers["backward_scratch"],
            *(second.scratch if second else ()),
        ]
    )
    return NumpyModuleView(
        origin=(
            plain(f"Written by `bpgen emit {net.name}` from {declared_in}; needs numpy alone."),
        ),
        needs_math="math." in code or "orthogonal(" in code or contract.tensors.has_blocks,
        needs_erf="erf(" in code,
        needs_windows=f"{WINDOWS}(" in code,
        needs_orthogonal="orthogonal(" in code,
        tile=str(ENTRIES) if "= tiles(" in code else "",
        init=init,
        noise=noise,
        second=second,
        state_vectors=as_tuple(f"self.{s.name}" for s in program.optimizer.states),
        **buffers,
        **share_fields(net),
        **contract.fields(dtype, functions, has_noise=bool(noise)),
    )


def _buffers(
    program: Program, memory: Memory, speller: FormulaSpeller, written: Functions
) -> dict[str, Any]:
    """Return what the workspaces hold; call it when all functions are written."""
    forward = written.forward.scratch
    return {
        "activations": memory.fields(
            (*program.network.of_role(Role.TABLE), *memory.activations), speller
        ),
        "cotangents": memory.fields(memory.cotangents, speller),
        "forward_scratch": scratch_lines(forward),
        "backward_scratch": scratch_lines(written.backward.scratch, without=forward),
        "update_scratch": (
            *scratch_lines(written.update.scratch, {"P": "SIZE"}),
            *scratch_lines(written.block.scratch, {"P": "BLOCK"}, without=written.update.scratch),
        ),
        "block": next((str(p.size) for p in program.update if isinstance(p, Blocks)), ""),
    }

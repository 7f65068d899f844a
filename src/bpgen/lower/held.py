"""What a program holds in memory while some of its functions run, besides what callers give."""

from __future__ import annotations

from collections.abc import Mapping

import sympy
from sympy import Expr

from bpgen.ir.index import Extent
from bpgen.ir.program import Place, Program, Step
from bpgen.ir.tensor import GIVEN, KEPT, Role
from bpgen.lower.lives import Lives, results_of
from bpgen.lower.workspace import Buffer


def buffers(program: Program, alive: Lives) -> list[Buffer]:
    """Return the buffer of every tensor; what callers read, or what is made once, is alone."""
    net, tensors = program.network, program.arrays
    elsewhere = results_of(program)
    read = {net.loss} if alive.trains else {net.loss, *net.outputs.values()}
    alone = {alive.root(name) for name in read} | set(borders(program, alive))
    wholes = {part: whole.tensor for whole in program.wholes for part in whole.parts}
    always = (range(len(alive.steps)),)
    found = []
    for name, times in alive.lives.items():
        if name in elsewhere or tensors[name].role in (GIVEN | KEPT) - {Role.NOISE}:
            continue
        tensor = wholes.get(name, tensors[name])
        kind = "int" if tensor.is_integer else "float"
        lives = always if tensor.name in alone else times
        found.append(Buffer(tensor.name, tensor.indices, kind, lives, tensor.name in alone))
    return found


def borders(program: Program, alive: Lives) -> Mapping[str, Expr]:
    """Return what stands where no step writes, by the tensors that have such a border."""
    placed = {
        step.equation.out.name: first.pad.value
        for step in alive.steps
        if isinstance(step, Step) and isinstance(first := step.statements[0], Place)
    }
    return placed | {whole.tensor.name: sympy.S.One for whole in program.wholes if whole.parts}


def blocks(program: Program) -> frozenset[Extent]:
    """Return the numbers of blocks, of which parameters are stacked."""
    stacks = ((t, t.init.stacked) for t in program.network.parameters if t.init)
    return frozenset(index.extent for t, count in stacks for index in t.indices[:count])

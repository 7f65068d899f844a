"""What a program holds in memory while some of its functions run, besides what callers give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy

from bpgen.ir.index import Extent, Index
from bpgen.ir.program import Place, Program, Step
from bpgen.ir.tensor import GIVEN, KEPT, Role
from bpgen.lower.lives import Lives, results_of
from bpgen.lower.workspace import Border, Buffer


def buffers(program: Program, alive: Lives) -> list[Buffer]:
    """Return the buffer of every tensor; what callers read is alone.

    So is a copy of what a caller gives, beside ones: formulas read the original.
    """
    net, tensors = program.network, program.arrays
    elsewhere, edges = results_of(program), borders(program, alive)
    read = {net.loss} if alive.trains else {net.loss, *net.outputs.values()}
    copies = {whole.tensor.name for whole in program.wholes if not whole.parts}
    alone = {alive.root(name) for name in read} | copies
    wholes = {part: whole.tensor for whole in program.wholes for part in whole.parts}
    always = (range(len(alive.steps)),)
    found = []
    for name, times in alive.lives.items():
        if name in elsewhere or tensors[name].role in (GIVEN | KEPT) - {Role.NOISE}:
            continue
        tensor = wholes.get(name, tensors[name])
        kind, is_alone = "int" if tensor.is_integer else "float", bool({name, tensor.name} & alone)
        lives, own = (always, always) if is_alone else (times, alive.own[name])
        border = edges.get(tensor.name)
        found.append(Buffer(tensor.name, tensor.indices, kind, lives, is_alone, None, border, own))
    return found


def borders(program: Program, alive: Lives) -> Mapping[str, Border]:
    """Return the borders that no step writes, by the tensors that have one."""
    arrays, found = program.arrays, dict[str, Border]()
    for step in alive.steps:
        if isinstance(step, Step) and isinstance(first := step.statements[0], Place):
            own = arrays[first.out.name].indices
            boxes = frozenset(
                tuple(dict(zip(s.out.indices, s.parts, strict=True))[i][:2] for i in own)
                for s in step.statements
                if isinstance(s, Place)
            )
            found[first.out.name] = Border(first.pad.value, _shape(own), boxes)
    for whole in program.wholes:
        if whole.parts:
            own, part = whole.tensor.indices, arrays[whole.parts[0]].indices
            box = tuple((0, i.extent.value or 1) for i in part)
            found[whole.tensor.name] = Border(sympy.S.One, _shape(own), frozenset({box}))
    return found


def _shape(indices: Iterable[Index]) -> tuple[int | str, ...]:
    return tuple(i.extent.value or i.extent.name for i in indices)


def blocks(program: Program) -> frozenset[Extent]:
    """Return the numbers of blocks, of which parameters are stacked."""
    stacks = ((t, t.init.stacked) for t in program.network.parameters if t.init)
    return frozenset(index.extent for t, count in stacks for index in t.indices[:count])

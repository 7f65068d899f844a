"""What the module for a GPU costs: the memory it allocates there, and each kernel of a step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bpgen.cost import FLOAT, Sizes, Work, work
from bpgen.emit.cuda_functions import CudaFunctions
from bpgen.emit.cuda_workspaces import DeviceWorkspaces
from bpgen.ir.expr import accesses, indices_of
from bpgen.ir.index import Index
from bpgen.ir.program import (
    Contract,
    Part,
    Program,
    Reduce,
    Statement,
    Step,
    Turns,
)
from bpgen.ir.tensor import Tensor
from bpgen.lower.lives import functions_of
from bpgen.lower.reorder import formulas_of
from bpgen.lower.workspace import Workspace
from bpgen.spell import FormulaSpeller
from bpgen.targets.cupy.kernel import Launch
from bpgen.targets.cupy.matmul import ROOM
from bpgen.targets.cupy.memory import Memory as OnDevice
from bpgen.targets.cupy.target import Rounds

_OF_A_STEP = ("forward", "add_loss", "advance", "backward")
_BYTES = {"real": FLOAT, "int": FLOAT, "narrow": 2}  # of an entry


@dataclass(frozen=True, slots=True)
class KernelRow:
    """One launch of a step, in all its turns: the kernel, its formulas, what it reads and writes.

    What a kernel computes and reads again itself is not read from memory, nor written there if
    nobody else reads it. A panel is computed by each kernel that needs it.
    """

    function: str
    kernel: str
    formulas: tuple[str, ...]
    turns: int
    multiply_adds: int
    bytes: int


def memory(program: Program, batch: int, precision: str = "fp32") -> dict[str, int]:
    """Return the bytes that the module allocates on the device for a batch, by what they hold."""
    module = DeviceWorkspaces.of(program, precision)
    network, sizes = program.network, Sizes.of(program, batch)
    own = sum(t.entries for t in network.parameters)
    is_rounded = module.memory.network.factor == "narrow"

    def held(tensors: Sequence[Tensor]) -> int:
        return FLOAT * sum(sizes.entries(t.indices) for t in tensors)

    return {
        "parameters": FLOAT * own + held(network.kept),
        "what products read of them": _BYTES["narrow"] * own if is_rounded else 0,
        "gradient": FLOAT * own,
        "optimizer": FLOAT * own * len(program.optimizer.states),
        "the batch": held(module.memory.given),
        "the next batch": held(module.memory.sent),
        "workspace": module.training()[1].bytes(batch),
        "cuBLASLt": ROOM if _multiplies(module.written) else 0,
    }


def workspace(program: Program, precision: str = "fp32") -> Workspace:
    """Return the memory of a step of training that launches share by their lives."""
    return DeviceWorkspaces.of(program, precision).training()[1]


def _width(device: OnDevice, name: str) -> int:
    """Return the bytes of an entry; numbers of the optimizer count as any other."""
    return _BYTES.get(device.kind(name), FLOAT)


def _multiplies(written: CudaFunctions) -> bool:
    """Whether the library multiplies matrices."""
    steps = (s for function in written.views() for s in function.steps)
    return any("k.matmul(" in line for step in steps for line in step.lines)


def kernels(program: Program, batch: int, precision: str = "fp32") -> tuple[KernelRow, ...]:
    """Return the launches of a step, in order."""
    module = DeviceWorkspaces.of(program, precision)
    program, sizes, written = module.program, Sizes.of(program, batch), module.written
    device = written.target.memory
    functions = {n: parts for n, parts in functions_of(program).items() if n in _OF_A_STEP}
    found: list[KernelRow] = []
    computed = _pieces([part for parts in functions.values() for part in parts], module.speller)
    for name in functions:
        found += _rows(name, written.launches.get(name, ()), computed, sizes, device)
    pieces = _pieces(written.update_steps, module.speller)
    launches, update = written.launches["update"], written.update.memory
    return (*found, *_rows("update", launches, pieces, sizes, update))


@dataclass(frozen=True, slots=True)
class _Piece:
    """What one launch computes of an equation, in the loops `around`."""

    out: Tensor
    statements: tuple[Statement, ...]
    around: tuple[Index, ...]


def _rows(
    function: str,
    launches: Sequence[Launch | Rounds],
    pieces: Mapping[str, list[_Piece]],
    sizes: Sizes,
    device: OnDevice,
) -> Iterator[KernelRow]:
    """Yield the rows of launches; the next piece of an equation belongs to its next formula."""
    for launch in launches:
        if isinstance(launch, Rounds):
            yield from _rows(function, launch.body, pieces, sizes, device)
            continue
        waiting = [pieces[left] for f in launch.formulas if pieces.get(left := _left(f))]
        own = [p[0] if p[0].out.name in device.again else p.pop(0) for p in waiting]
        if not own:  # the one that counts the steps
            continue
        around = own[0].around
        turns, inside = sizes.entries(around), sizes.inside(around)
        seen = device.of_factors() if "k.matmul(" in launch.line else device
        done = sum((work(s, inside) for piece in own for s in piece.statements), Work())
        name = re.findall(r'"(\w+)"', launch.line) or re.findall(r"\bk\.(matmul)\(", launch.line)
        yield KernelRow(
            function=function,
            kernel=name[0] if name else "",
            formulas=launch.formulas,
            turns=turns,
            multiply_adds=turns * done.multiply_adds,
            bytes=turns * _moved(own, inside, seen),
        )


def _pieces(
    parts: Sequence[Part], speller: FormulaSpeller, around: tuple[Index, ...] = ()
) -> dict[str, list[_Piece]]:
    """Return what each equation is launched as, a sum at a time, by its formula's left side."""
    found: dict[str, list[_Piece]] = {}
    for part in parts:
        if not isinstance(part, Step):
            within = (*around, part.index) if isinstance(part, Turns) else around
            for left, inner in _pieces(part.parts, speller, within).items():
                found.setdefault(left, []).extend(inner)
            continue
        sums = [s for s in part.statements if isinstance(s, Contract | Reduce)]
        others = tuple(s for s in part.statements if s not in sums)
        groups = [(s,) for s in sums[:-1]] + [(*sums[-1:], *others)]
        own = [_Piece(part.equation.out, group, around) for group in groups]
        found.setdefault(_left(speller.equation(part.equation)), []).extend(own)
    return found


def _left(formula: str) -> str:
    """Return the left side of a formula: `z[n,h]`."""
    return re.split(r" (?:=|\+=|←) ", formula)[0]


def _moved(pieces: Sequence[_Piece], sizes: Sizes, device: OnDevice) -> int:
    """Return the bytes of all results in memory, and of what is read besides, each entry once."""
    outs = {piece.out.name: piece.out for piece in pieces}
    read = {
        a.name: _width(device, a.name) * sizes.entries(indices_of(a))
        for piece in pieces
        for statement in piece.statements
        for body in formulas_of(statement)
        for a in accesses(body)
        if a.name not in outs
    }
    made = (
        _width(device, name) * sizes.entries(o.indices)
        for name, o in outs.items()
        if name not in device.local
    )
    return sum(made) + sum(read.values())

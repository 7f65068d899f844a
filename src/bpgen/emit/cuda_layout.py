"""Where each tensor lives on the device, and which share their memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bpgen.emit.layout import Memory as HostMemory
from bpgen.emit.view import FieldView
from bpgen.ir.index import Index
from bpgen.ir.optimizer import GRADIENT, STEP, THETA
from bpgen.ir.program import Program, Step, View, steps_of
from bpgen.ir.tensor import KEPT, Role, Tensor
from bpgen.spell import FormulaSpeller
from bpgen.targets.cupy.memory import Memory, is_same_memory


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """The memory of a program: what a batch needs, and what the optimizer keeps."""

    network: Memory
    update: Memory
    activations: tuple[Tensor, ...]
    cotangents: tuple[Tensor, ...]
    numbers: tuple[Tensor, ...]

    @classmethod
    def of(cls, program: Program, host: HostMemory) -> DeviceMemory:
        """Return where everything is, under the names that numpy's module has too."""
        tensors = dict(program.derivation.network.tensors)
        first = steps_of(program.forward + program.loss + program.predict + program.score)
        later = steps_of(program.advance + program.backward)
        seen = _seen((*first, *later), tensors, host)
        names = {**host.names, **{t.name: f"a.{t.name}" for t in program.network.inputs}}
        given = (*program.network.inputs, *program.network.of_role(Role.TABLE, Role.NOISE))
        made = dict.fromkeys((*given, *(s.equation.out for s in first)))
        after = dict.fromkeys(s.equation.out for s in later)

        def held(tensor: Tensor) -> bool:
            return names[tensor.name].startswith("a.") and tensor.name not in seen

        optimizer = program.optimizer
        numbers = [s.equation.out for s in program.update if s.equation.out.role is Role.SCALAR]
        numbers += [Tensor(STEP.name, (), Role.ADDRESS)] if optimizer.counts_steps else []
        own = {t.name: t for t in (THETA, GRADIENT, *optimizer.states, *numbers)}
        at = {**host.update_names, **{t.name: f"s.{t.name}" for t in numbers}}
        return cls(
            Memory(tensors, names, seen),
            Memory(own, at, {}),
            tuple(filter(held, made)),
            tuple(t for t in after if held(t) and t not in made and t.role not in KEPT),
            tuple(dict.fromkeys(numbers)),
        )


def fields(tensors: Sequence[Tensor], speller: FormulaSpeller) -> tuple[FieldView, ...]:
    """Return the buffers of a workspace, each with its shape."""
    return tuple(FieldView(t.name, "", speller.spell(t.canonical), make=_made(t)) for t in tensors)


def number_fields(tensors: Iterable[Tensor]) -> tuple[FieldView, ...]:
    """Return the numbers of a step, each an array of one entry."""
    return tuple(
        FieldView(
            t.name,
            "",
            make="cp.zeros((), np.int32)  # counts the steps"
            if t.is_integer
            else "cp.zeros((), np.float64)",
        )
        for t in tensors
    )


def shape(axes: Sequence[Index]) -> str:
    """Return a shape in Python."""
    sizes = [i.extent.name for i in axes]
    return sizes[0] if len(sizes) == 1 else f"({', '.join(sizes)})"


def _made(tensor: Tensor) -> str:
    dtype = "np.int32" if tensor.is_integer else "dtype"
    if tensor.role is Role.TABLE:
        return f'cp.asarray(TABLES["{tensor.name}"].astype({dtype}))'
    return f"cp.empty({shape(tensor.indices)}, {dtype})"


def _seen(
    steps: Sequence[Step], tensors: Mapping[str, Tensor], host: HostMemory
) -> dict[str, str]:
    """Return the tensors that see another one's memory, and which."""
    found: dict[str, str] = {}
    refused: set[str] = set()
    for step in steps:
        out, (statement, *_) = step.equation.out, step.statements
        own = host.names[out.name].startswith("a.") and out.role not in KEPT
        if (
            own
            and isinstance(statement, View)
            and is_same_memory(statement, tensors[statement.read.name])
            and found.get(out.name, statement.read.name) == statement.read.name
        ):
            found[out.name] = statement.read.name
        else:
            refused.add(out.name)
    return {name: source for name, source in found.items() if name not in refused}



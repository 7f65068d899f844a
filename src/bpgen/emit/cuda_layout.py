"""Where each tensor lives on the device, and which share their memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bpgen.emit.cuda_storage import with_copies, with_narrow, with_rounded
from bpgen.emit.layout import Memory as HostMemory
from bpgen.emit.layout import buffer_field, shape
from bpgen.emit.view import FieldView
from bpgen.ir.optimizer import GRADIENT, STEP, THETA
from bpgen.ir.program import Program, Step, View, steps_of
from bpgen.ir.tensor import KEPT, Role, Tensor
from bpgen.spell import FormulaSpeller
from bpgen.targets.cupy.local import with_local
from bpgen.targets.cupy.memory import Memory, is_same_memory
from bpgen.targets.cupy.noise import is_drawn

# What Python calls the types of C++.
DTYPES = {"int": "np.int32", "real": "dtype", "narrow": "narrow"}


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """The memory of a program: what a batch needs, and what the optimizer keeps.

    `sent` are the tensors of a batch that the host gives.
    """

    network: Memory
    update: Memory
    activations: tuple[Tensor, ...]
    cotangents: tuple[Tensor, ...]
    numbers: tuple[Tensor, ...]
    sent: tuple[Tensor, ...]

    @classmethod
    def of(cls, program: Program, host: HostMemory, precision: str = "fp32") -> DeviceMemory:
        """Return where everything is, by numpy's names; `precision` is that of products."""
        tensors = program.tensors
        first = steps_of(program.forward + program.loss + program.predict + program.score)
        later = steps_of(program.advance + program.backward)
        found = _views((*first, *later), host)
        seen = {
            name: view.read.name
            for name, view in found.items()
            if is_same_memory(view, tensors[view.read.name])
        }
        views = {name: view for name, view in found.items() if name not in seen}
        results = set(program.network.outputs.values())
        names = {**host.names, **{t.name: f"a.{t.name}" for t in program.network.inputs}}
        noise = program.network.of_role(Role.NOISE)
        given = (*program.network.inputs, *program.network.of_role(Role.TABLE), *noise)
        made = dict.fromkeys((*given, *(s.equation.out for s in first)))
        after = dict.fromkeys(s.equation.out for s in later)

        def held(tensor: Tensor) -> bool:
            name = tensor.name
            unread = name in seen or (name in views and name not in results)
            unread = unread or name in network.local
            return names[name].startswith("a.") and not unread

        network = Memory(
            tensors,
            {n: t for n, t in names.items() if n in results or n not in views},
            seen,
            views,
            "a.tiles",
        )
        read = {*results, *(n for n, place in names.items() if not place.startswith("a."))}
        network = _decided(network, program, read, precision)
        optimizer = program.optimizer
        numbers = [
            s.equation.out for s in steps_of(program.update) if s.equation.out.role is Role.SCALAR
        ]
        numbers += [Tensor(STEP.name, (), Role.ADDRESS)] if optimizer.counts_steps else []
        own = {t.name: t for t in (THETA, GRADIENT, *optimizer.states, *numbers)}
        at = {**host.update_names, **{t.name: f"s.{t.name}" for t in numbers}}
        return cls(
            network,
            with_rounded(Memory(own, at, {}, {}), network),
            tuple(filter(held, made)),
            tuple(t for t in after if held(t) and t not in made and t.role not in KEPT),
            tuple(dict.fromkeys(numbers)),
            (*program.network.inputs, *(t for t in noise if not is_drawn(t))),
        )


def _decided(network: Memory, program: Program, read: set[str], precision: str) -> Memory:
    """Return a memory that knows what is in none, and what is stored as bf16."""
    is_bf16 = precision == "bf16"
    found = with_local(with_copies(network, program) if is_bf16 else network, program, read)
    return with_narrow(found, program) if is_bf16 else found


def fields(
    tensors: Sequence[Tensor], memory: Memory, speller: FormulaSpeller
) -> tuple[FieldView, ...]:
    """Return the buffers of a workspace, each with its shape."""
    return tuple(
        buffer_field(t.name, _made(t, memory), speller.spell(t.canonical)) for t in tensors
    )


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


def _made(tensor: Tensor, memory: Memory) -> str:
    dtype = DTYPES[memory.kind(tensor.name)]
    if tensor.role is Role.TABLE:
        return f'cp.asarray(TABLES["{tensor.name}"].astype({dtype}))'
    return f"cp.empty({shape(tensor.indices)}, {dtype})"


def _views(steps: Sequence[Step], host: HostMemory) -> dict[str, View]:
    """Return the tensors that are entries of another one, in every function that defines them."""
    found: dict[str, View] = {}
    refused: set[str] = set()
    for step in steps:
        out, (statement, *_) = step.equation.out, step.statements
        own = host.names[out.name].startswith("a.") and out.role not in KEPT
        if own and isinstance(statement, View) and found.get(out.name, statement) == statement:
            found[out.name] = statement
        else:
            refused.add(out.name)
    return {name: view for name, view in found.items() if name not in refused}

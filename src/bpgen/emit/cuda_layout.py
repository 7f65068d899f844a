"""Where each tensor lives on the device, and which share their memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bpgen.emit.cuda_storage import with_copies, with_narrow, with_rounded
from bpgen.emit.layout import Memory as HostMemory
from bpgen.emit.view import FieldView
from bpgen.ir.optimizer import GRADIENT, STEP, THETA
from bpgen.ir.program import Program, steps_of
from bpgen.ir.tensor import Role, Tensor
from bpgen.lower.sight import spelled
from bpgen.targets.cupy.local import with_local
from bpgen.targets.cupy.memory import Memory, is_same_memory
from bpgen.targets.cupy.noise import is_drawn

# What Python calls the types of C++.
DTYPES = {"int": "np.int32", "real": "dtype", "narrow": "narrow"}


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """The memory of a program: what a batch needs, and what the optimizer keeps.

    `given` are the tensors of a batch that no kernel writes, of which the host sends those in
    `sent` for each step.
    """

    network: Memory
    update: Memory
    given: tuple[Tensor, ...]
    sent: tuple[Tensor, ...]
    numbers: tuple[Tensor, ...]

    @classmethod
    def of(cls, program: Program, host: HostMemory, precision: str = "fp32") -> DeviceMemory:
        """Return where everything is, under the names that numpy's module has too.

        `precision` is that of products.
        """
        net, optimizer = program.network, program.optimizer
        sent = (*net.inputs, *(t for t in net.of_role(Role.NOISE) if not is_drawn(t)))
        numbers = [
            s.equation.out for s in steps_of(program.update) if s.equation.out.role is Role.SCALAR
        ]
        numbers += [Tensor(STEP.name, (), Role.ADDRESS)] if optimizer.counts_steps else []
        own = {t.name: t for t in (THETA, GRADIENT, *optimizer.states, *numbers)}
        at = {**host.update_names, **{t.name: f"s.{t.name}" for t in numbers}}
        network = _of_network(program, host, is_bf16=precision == "bf16")
        update = Memory(own, at, {}, {})
        return cls(
            network,
            update if network.rounded is None else with_rounded(update),
            (*sent, *net.of_role(Role.TABLE)),
            sent,
            tuple(dict.fromkeys(numbers)),
        )


def _of_network(program: Program, host: HostMemory, *, is_bf16: bool) -> Memory:
    """Return the memory of all but the update; what only sees other memory has no name.

    It knows what is in none, and of `is_bf16` products what is stored so.
    """
    tensors, sight = replace(program, in_turn={}).tensors, spelled(program)
    seen = {
        name: view.read.name
        for name, view in sight.views.items()
        if is_same_memory(view, tensors[view.read.name])
    }
    views = {name: view for name, view in sight.views.items() if name not in seen}
    names = {**host.names, **{t.name: f"a.{t.name}" for t in program.network.inputs}}
    named = {n: t for n, t in names.items() if n in sight.shown or n not in views}
    read = {*sight.shown, *program.network.outputs.values()}
    read |= {n for n, place in names.items() if not place.startswith("a.")}
    memory = Memory(tensors, named, seen, views, "a")
    memory = with_local(with_copies(memory, program) if is_bf16 else memory, program, read)
    # What a panel is computed from again is read in another loop than it was written in.
    again = {
        memory.root(name) for p in memory.panels for e in p.equations.values() for name in e.reads()
    }
    lacks = {
        name: frozenset(k for k, i in enumerate(tensors[name].indices) if i not in own.indices)
        for name, own in program.in_turn.items()
        if memory.root(name) not in again
    }
    memory = replace(memory, lacks=lacks)
    return with_narrow(memory, program) if is_bf16 else memory


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

"""Where a module multiplies bf16: which tensors are stored so, and the copy of the parameters."""

from __future__ import annotations

from dataclasses import replace

from bpgen.ir.equation import Equation, Term
from bpgen.ir.optimizer import ENTRY, THETA
from bpgen.ir.program import Map, Program, Step
from bpgen.ir.tensor import Role, Tensor
from bpgen.lower.lives import functions_of
from bpgen.targets.cupy.memory import Memory
from bpgen.targets.cupy.storage import narrow

_ROUNDED = Tensor("θ_rounded", (ENTRY,), Role.ACTIVATION)
# What products read of the parameters.
ROUND = Step(Equation(_ROUNDED, (Term(THETA.canonical),)), (Map(_ROUNDED, THETA.canonical),))


def with_copies(network: Memory, program: Program) -> Memory:
    """Return a memory in which products read copies of the parameters."""
    return replace(
        network, rounded={t.name: f"p.rounded.{t.name}" for t in program.network.parameters}
    )


def with_narrow(network: Memory, program: Program) -> Memory:
    """Return a memory with copies in which tensors are stored as they are to be.

    Where no library multiplies there are no copies.
    """
    found = narrow(functions_of(program).values(), program.network.outputs.values(), network)
    if found is None:
        return replace(network, rounded=None)
    return replace(network, narrow=found)


def with_rounded(update: Memory, network: Memory) -> Memory:
    """Return the memory of an update that writes the copy of the parameters, if there is one."""
    if network.rounded is None:
        return update
    return replace(
        update,
        tensors={**update.tensors, _ROUNDED.name: _ROUNDED},
        names={**update.names, _ROUNDED.name: "p.rounded.flat"},
        narrow=frozenset({_ROUNDED.name}),
        rounded={},
    )

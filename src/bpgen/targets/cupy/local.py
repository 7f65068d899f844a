"""What is in no memory: a tensor that only the kernel reads that computes it, and panels.

What follows from such a tensor is computed with it, entry by entry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from bpgen.ir.expr import accesses
from bpgen.ir.program import Program
from bpgen.ir.tensor import KEPT, Role, Tensor
from bpgen.targets.cupy.fusion import Member, Part, Total, bodies
from bpgen.targets.cupy.groups import Group, kernels_of
from bpgen.targets.cupy.memory import Memory
from bpgen.targets.cupy.panels import evaluated, panels_of
from bpgen.targets.cupy.worth import is_worth

_SHARED = KEPT | {Role.LOSS, Role.SCALAR}


def with_local(memory: Memory, program: Program, results: Collection[str]) -> Memory:
    """Return a memory that knows what of a program is in none; `results` are."""
    functions = {
        "predict": (program.predict, program.score),
        "forward": (program.forward, program.loss),
        "backward": (program.advance, program.backward),
    }
    before, first, later = ([*kernels_of(f, memory)] for f in functions.values())
    local = local_of([*before, *first, *later], memory, results)
    panels = panels_of(_members([*first, *later]), _members(before), memory, results)
    worth = tuple(panel for panel in panels if is_worth(panel, first, later, local))
    less = replace(memory, panels=worth)
    groups = (group for f in functions.values() for group in kernels_of(f, less))
    return replace(less, local=local_of([*groups], less, results) | less.again)


def _members(groups: Iterable[Group]) -> list[Member]:
    return [member for group in groups for member in group]


def local_of(groups: Sequence[Group], memory: Memory, results: Collection[str]) -> frozenset[str]:
    """Return the tensors that only the kernels read which compute them; `results` are none.

    Such a kernel assigns the tensor once, and reads it after that, entry by entry.
    """
    given = {*results, *map(memory.root, results)}
    found = {m.part.out.name: m.part.out for m in _members(groups)}
    refused = {memory.root(name) for name, t in found.items() if t.role in _SHARED} | given
    for group in groups:
        refused |= _needed([m.part for m in group], found, memory)
    return frozenset(found.keys() - refused)


def _needed(group: Sequence[Part], known: Mapping[str, Tensor], memory: Memory) -> set[str]:
    """Return the tensors that must be in memory for the sake of one kernel."""
    needed: set[str] = set()
    written: dict[str, Part] = {}
    for part in group:
        own = memory.root(part.out.name)
        for body in evaluated(part, memory.panels):
            for read in accesses(body):
                root = memory.root(read.name)
                is_own = root in written and read == known[root].canonical
                needed |= set() if is_own else {root}
        if part.accumulate or own in written or own != part.out.name:
            needed.add(own)
        needed |= {name for name, before in written.items() if _reads(before, own, memory)}
        written[own] = part
    return needed


def _reads(part: Part, root: str, memory: Memory) -> bool:
    """Whether a part that may be computed again reads what has changed since then."""
    is_map = not isinstance(part, Total)
    return is_map and any(memory.root(a.name) == root for b in bodies(part) for a in accesses(b))

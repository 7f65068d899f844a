"""Which equations one kernel computes: those that follow each other, as long as each can join.

A tensor that nobody but the kernel reads that computes it is not in memory: what follows from it
is computed with it, entry by entry. Nor are panels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bpgen.ir.expr import accesses
from bpgen.ir.program import Part as ProgramPart
from bpgen.ir.program import Program, Step, Turns
from bpgen.ir.tensor import KEPT, Role, Tensor
from bpgen.targets.cupy.fusion import Member, Part, Total, bodies, joins, parts_of
from bpgen.targets.cupy.kernel import Fixed
from bpgen.targets.cupy.matmul import apart, matmul
from bpgen.targets.cupy.memory import Memory
from bpgen.targets.cupy.panels import Panel, evaluated, panel_read, panels_of
from bpgen.targets.cupy.rows import row_of
from bpgen.targets.cupy.worth import is_worth

Group = tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """Groups that are launched in turn for each value of an index."""

    turns: Turns
    body: tuple[Group | Round, ...]


def grouped(
    parts: Sequence[ProgramPart], memory: Memory, fixed: Fixed, *, assigned: bool = False
) -> tuple[Group | Round, ...]:
    """Return what is launched for `parts`, in order; with `assigned` a result is `←` its formula.

    `fixed` are the indices of the loops around. A view that is a result is copied at the end: what
    it sees may be written until then.
    """
    found: list[Group | Round] = []
    group: list[Member] = []

    def close() -> None:
        if group:
            found.append(tuple(group))
            group.clear()

    for part in sorted(parts, key=lambda p: _is_late(p, memory)):
        if isinstance(part, Turns):
            close()
            within = {**fixed, part.index: str(part.index.name)}
            found.append(Round(part, grouped(part.parts, memory, within, assigned=assigned)))
            continue
        assert isinstance(part, Step), "one kernel takes all blocks of a vector"
        for new in _members(part, memory, fixed, assigned=assigned):
            if not _joins([m.part for m in group], new.part, memory, fixed):
                close()
            group.append(new)
    close()
    return tuple(found)


def _is_late(part: ProgramPart, memory: Memory) -> bool:
    return isinstance(part, Step) and part.equation.out.name in memory.views


def _joins(group: Sequence[Part], part: Part, memory: Memory, fixed: Fixed) -> bool:
    """Whether the kernel of `group` can compute `part` too."""
    if not group:
        return True
    if any(panel_read(p, memory.panels) for p in (group[0], part)):
        return False
    if row_of((*group, part), fixed, memory):
        return True
    if matmul(group[0], fixed, memory):
        return False
    is_row = len(group) > 1 and row_of(group, fixed, memory) is not None
    return not is_row and joins(group, part, memory)


def _members(step: Step, memory: Memory, fixed: Fixed, *, assigned: bool) -> Iterator[Member]:
    """Yield what computes a step; nothing for a tensor that is another one's memory, or a panel."""
    out = step.equation.out
    if out.name in memory.seen or (out.name in memory.views and out.name not in memory.names):
        return
    if out.name in memory.again:
        return
    sign = "+=" if step.adds else "←" if assigned or out.role in KEPT else "="
    found = [
        pair for part, terms in parts_of(step, memory) for pair in apart(part, terms, fixed, memory)
    ]
    for place, (part, terms) in enumerate(found):
        yield Member(part, replace(step.equation, terms=terms), "+=" if place else sign)


# ---- what is not in memory -----------------------------------------------------------------------

_SHARED = KEPT | {Role.LOSS, Role.SCALAR}


def with_local(memory: Memory, program: Program, results: Collection[str]) -> Memory:
    """Return a memory that knows what of a program is in none; `results` are."""
    prediction = (program.predict, program.score)
    forward, backward = (program.forward, program.loss), (program.advance, program.backward)
    functions = (*prediction, *forward, *backward)
    local = local_of(functions, memory, results)
    before, first, later = ([*_groups(parts, memory)] for parts in (prediction, forward, backward))
    seen = {*results, *map(memory.root, memory.seen)}
    members = [m for g in (*first, *later) for m in g]
    panels = panels_of(members, [m for g in before for m in g], seen)
    worth = tuple(panel for panel in panels if is_worth(panel, first, later, local))
    return with_panels(memory, worth, functions, results)


def with_panels(
    memory: Memory,
    panels: tuple[Panel, ...],
    functions: Sequence[Sequence[ProgramPart]],
    results: Collection[str],
) -> Memory:
    """Return a memory without `panels`, and without what one kernel alone knows then."""
    less = replace(memory, panels=panels)
    return replace(less, local=local_of(functions, less, results) | less.again)


def local_of(
    functions: Iterable[Sequence[ProgramPart]], memory: Memory, results: Collection[str]
) -> frozenset[str]:
    """Return the tensors that only the kernels read which compute them; `results` are none.

    Such a kernel assigns the tensor once, and reads it after that, entry by entry.
    """
    groups = [*_groups(functions, memory)]
    given = {*results, *map(memory.root, results)}
    found = {m.part.out.name: m.part.out for group in groups for m in group}
    refused = {memory.root(name) for name, t in found.items() if t.role in _SHARED} | given
    for group in groups:
        refused |= _needed([m.part for m in group], found, memory)
    return frozenset(found.keys() - refused)


def _groups(functions: Iterable[Sequence[ProgramPart]], memory: Memory) -> Iterator[Group]:
    for parts in functions:
        yield from _flat(grouped(parts, memory, {}))


def _flat(groups: Iterable[Group | Round]) -> Iterator[Group]:
    for group in groups:
        if isinstance(group, Round):
            yield from _flat(group.body)
        else:
            yield group


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

"""Which equations one kernel computes: those that follow each other, as long as each can join."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bpgen.ir.program import Part as ProgramPart
from bpgen.ir.program import Step, Turns
from bpgen.ir.tensor import KEPT
from bpgen.targets.cupy.fusion import Member, Part, joins, parts_of
from bpgen.targets.cupy.kernel import Fixed
from bpgen.targets.cupy.matmul import apart, matmul
from bpgen.targets.cupy.memory import Memory
from bpgen.targets.cupy.panels import panel_read
from bpgen.targets.cupy.rows import row_of

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


def kernels_of(functions: Iterable[Sequence[ProgramPart]], memory: Memory) -> Iterator[Group]:
    """Yield what each kernel of some functions computes, in order, in loops as outside of them."""
    for parts in functions:
        yield from _flat(grouped(parts, memory, {}))


def _flat(groups: Iterable[Group | Round]) -> Iterator[Group]:
    for group in groups:
        if isinstance(group, Round):
            yield from _flat(group.body)
        else:
            yield group

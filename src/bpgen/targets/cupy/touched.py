"""What memory a launch touches: what it reads, what it assigns, and what may lie in one place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from bpgen.ir.expr import Access, accesses
from bpgen.targets.cupy.fusion import Entrywise, Part, Total, bodies
from bpgen.targets.cupy.memory import Memory, Touched
from bpgen.targets.cupy.panels import evaluated


def entries(parts: Iterable[Part], memory: Memory) -> Iterator[Access]:
    """Yield the entries that a kernel of `parts` reads and writes."""
    for part in parts:
        yield part.out.canonical
        for body in evaluated(part, memory.panels):
            yield from accesses(body)


def touched(
    parts: Sequence[Part], memory: Memory, given: Collection[str], *, is_row: bool
) -> Touched:
    """Return what a kernel of `parts` touches of the memory it is `given`.

    Each row of a kernel `is_row` belongs to the same threads from its first part to its last.
    """
    reads: dict[str, None] = {}
    assigns: dict[str, int] = {}
    for place, part in enumerate(parts):
        read = {
            memory.root(a.name) for body in evaluated(part, memory.panels) for a in accesses(body)
        }
        reads |= dict.fromkeys(sorted(read - assigns.keys()))
        own = memory.root(part.out.name)
        if own not in assigns and (part.accumulate or own in reads):
            reads[own] = None
        else:
            assigns.setdefault(own, place)
    pairs = (
        (out, operand)
        for out, place in assigns.items()
        for operand in reads
        if {out, operand} <= {*given} and _is_in_place(parts, place, operand, memory, is_row=is_row)
    )
    return Touched(_of(reads, given), _of(assigns, given), frozenset(pairs))


def _of(names: Iterable[str], given: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in given)


def _is_in_place(
    parts: Sequence[Part], place: int, operand: str, memory: Memory, *, is_row: bool
) -> bool:
    """Whether the part at `place` may write over what nothing but its own entry reads, until then.

    What is computed from the operand may be computed again where it is read.
    """
    writer = parts[place]
    if not isinstance(writer, Entrywise):
        return False
    own, entry = memory.root(writer.out.name), {operand}
    for k, part in enumerate(parts):
        for at, body in enumerate(bodies(part)):
            read = [a for a in accesses(body) if memory.root(a.name) in entry - {own}]
            of_others = isinstance(part, Total) and at == 0 and not is_row
            apart = any(a.indices != writer.out.indices for a in read if a.name == operand)
            unknown = any(memory.root(a.name) == operand != a.name for a in read)
            if read and (k > place or of_others or apart or unknown):
                return False
            if read:
                entry.add(memory.root(part.out.name))
    return True

"""Rows: reductions along the last axis, and the maps around them, in one kernel.

A warp or a block takes a row from the first statement to the last: a softmax or a normalisation is
one kernel, and its row is read from memory once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bpgen.ir.expr import accesses
from bpgen.ir.index import Index
from bpgen.ir.tensor import Role
from bpgen.targets.cupy.fusion import Entrywise, Part, Total, bodies
from bpgen.targets.cupy.kernel import Draft, Fixed, count
from bpgen.targets.cupy.memory import Memory
from bpgen.targets.cupy.shapes import (
    Axes,
    Written,
    call,
    in_lambda,
    matrices,
    operation,
    size,
    stored,
    within,
)
from bpgen.targets.cupy.shapes import stores as stores_of

_WARP = 1024  # rows that a warp takes


@dataclass(frozen=True, slots=True)
class Row:
    """What counts the rows, and what runs along one."""

    axes: Axes
    along: Index


def row_of(group: Sequence[Part], fixed: Fixed, memory: Memory) -> Row | None:
    """Return the rows that all of `group` is about; None if there are none, or it must wait."""
    totals = [part for part in group if isinstance(part, Total)]
    if not totals or len(totals[0].term.over) != 1:
        return None
    row = Row(totals[0].out.indices, totals[0].term.over[0])
    space = tuple(i for i in row.axes if i not in fixed)
    if not space or row.along.extent.value is None:
        return None
    for place, part in enumerate(group):
        if not _fits(part, row, space) or not _is_local(part, group[:place], row, memory):
            return None
    return row


def _fits(part: Part, row: Row, space: Axes) -> bool:
    if part.out.role is Role.SCALAR:
        return False
    if isinstance(part, Total):
        is_row = part.out.indices == row.axes and part.term.over == (row.along,)
        return is_row and matrices(part, space) is None
    return part.out.indices in (row.axes, (*row.axes, row.along))


def _is_local(part: Part, before: Sequence[Part], row: Row, memory: Memory) -> bool:
    """Whether `part` reads what the kernel writes, and writes what it reads, in its row alone."""
    written = {memory.root(p.out.name): p.out.name for p in before}
    own = memory.root(part.out.name)
    rank = len(row.axes)
    for body in bodies(part):
        for read in accesses(body):
            name = written.get(memory.root(read.name))
            if name is not None and (name != read.name or read.indices[:rank] != row.axes):
                return False
    for other in before:
        for body in bodies(other):
            for read in accesses(body):
                apart = read.name != part.out.name or read.indices[:rank] != row.axes
                if memory.root(read.name) == own and apart:
                    return False
    return written.get(own, part.out.name) == part.out.name


def write_rows(draft: Draft, group: Sequence[Part], row: Row) -> Written:
    """Return the kernel that computes a group row by row."""
    space = draft.moving(row.axes)
    lanes = 32 if (row.along.extent.value or 0) <= _WARP else 256
    i = draft.flatten(space, "i")
    k = draft.flatten((row.along,), "k")
    lines = within(draft, [(i, space)], lambda: _named(draft, group, row, lanes, k))
    body = in_lambda(f"int {i}", lines)
    method = "by_warp" if lanes == 32 else "by_block"
    return Written(call(f"rows<{lanes}>", [size(draft, space)], [body]), method, (count(space),))


def _named(draft: Draft, group: Sequence[Part], row: Row, lanes: int, k: str) -> list[str]:
    """Return the steps of a row, whose place in memory has a name if it is a formula."""
    lines = _steps(draft, group, row, lanes, k)
    out = next(part.out for part in group if part.out.indices == row.axes)
    place = draft.place(out)
    if " " not in place:
        return lines
    name = draft.names.of(("row",), "row")
    short = [x.replace(f"({place})", name).replace(f"[{place}]", f"[{name}]") for x in lines]
    return [f"const int {name} = {place};", *short]


def _steps(draft: Draft, group: Sequence[Part], row: Row, lanes: int, k: str) -> list[str]:
    """Return the steps of a row, neighbouring maps in one."""
    lines: list[str] = []
    pending: list[Entrywise] = []
    length = size(draft, (row.along,))

    def close() -> None:
        if not pending:
            return
        stores = [line for part in pending for line in stores_of(draft, part)]
        if pending[0].out.indices == row.axes:
            lines.extend(call(f"once<{lanes}>", [], [in_lambda("", stores)]))
        else:
            lines.extend(call(f"map_row<{lanes}>", [length], [in_lambda(f"int {k}", stores)]))
        pending.clear()

    rest = list(group)
    while rest:
        part = rest.pop(0)
        if isinstance(part, Total):
            close()
            after: list[Part] = [part]
            while rest and isinstance(rest[0], Entrywise) and rest[0].out.indices == row.axes:
                after.append(rest.pop(0))
            lines.extend(_reduction(draft, after, lanes, k, length))
        else:
            if pending and not _together(pending, part):
                close()
            pending.append(part)
    close()
    return lines


def _reduction(
    draft: Draft, group: Sequence[Part], lanes: int, k: str, length: str
) -> tuple[str, ...]:
    """Return a reduction of a row, and what follows from it alone, by the thread that stores it."""
    head = group[0]
    assert isinstance(head, Total)
    op, kind, word = operation(head)
    total = draft.names.of(("total", word), word)
    value = in_lambda(f"int {k}", [f"return {draft.bare(head.term.body)};"])
    store = in_lambda(f"{kind} {total}", stored(draft, group, total))
    return call(f"reduce_row<{lanes}, {op}>", [length], [value, store])


def _together(pending: Sequence[Entrywise], part: Entrywise) -> bool:
    """Whether a map needs no other thread's entries of the maps before it."""
    written = {p.out.name: p.out for p in pending}
    reads = accesses(part.body)
    same = all(a == written[a.name].canonical for a in reads if a.name in written)
    return same and part.out.indices == pending[0].out.indices

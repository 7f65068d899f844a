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
    added,
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
    writer = _Steps(draft, group, row, lanes, k)
    rest = list(group)
    lines: list[str] = []
    while rest:
        taken = 1
        while taken < len(rest) and writer.follows(rest[:taken], rest[taken]):
            taken += 1
        lines.extend(writer.step(rest[:taken]))
        rest = rest[taken:]
    return lines


@dataclass(frozen=True, slots=True)
class _Steps:
    """The steps of a row in writing.

    Of what is in no memory, a number of the row is known to all lanes; an entry along the row is
    computed again in each step that reads it: that is sooner done than it is written and read.
    """

    draft: Draft
    group: Sequence[Part]
    row: Row
    lanes: int
    k: str

    def follows(self, step: Sequence[Part], part: Part) -> bool:
        """Whether `part` is done by the same threads, after a step has written their entries."""
        head = step[0]
        if not isinstance(part, Entrywise):
            return False
        if part.out.indices == self.row.axes:
            return head.out.indices == self.row.axes and not self._is_local(head, part)
        is_map = all(isinstance(p, Entrywise) for p in step)
        return is_map and head.out.indices == part.out.indices and _is_own(step, part)

    def step(self, parts: Sequence[Part]) -> tuple[str, ...] | list[str]:
        """Return the lines of a step."""
        head = parts[0]
        if isinstance(head, Total):
            return self._reduction(head, parts)
        if head.out.indices == self.row.axes:
            lines = self._stores(parts)
            is_known = self._is_local(head)
            return lines if is_known else call(f"once<{self.lanes}>", [], [in_lambda("", lines)])
        kept = [part for part in parts if not self._is_local(part)]
        if not kept:
            return []
        name, lines = f"map_row<{self.lanes}>", self._stores(self._with_sources(kept))
        return call(name, [self._length()], [in_lambda(f"int {self.k}", lines, name)])

    def _reduction(self, head: Total, group: Sequence[Part]) -> tuple[str, ...]:
        """Return a reduction, and what follows from it alone, by the thread that stores it."""
        draft, (op, kind, word) = self.draft, operation(head)
        sources = self._stores(self._with_sources([head])[:-1])
        value = [*sources, f"return {draft.bare(head.term.body)};"]
        name, k = f"reduce_row<{self.lanes}, {op}>", f"int {self.k}"
        if self._is_local(head):
            known = f"{draft.written(head.out)} = {name}"
            *lines, last = call(known, [self._length()], [in_lambda(k, value, known)])
            return (*lines, f"{added(draft, head, last.removesuffix(';'))};")
        total = draft.names.of(("total", word), word)
        store = in_lambda(f"{kind} {total}", stored(draft, group, total))
        return call(name, [self._length()], [in_lambda(k, value), store])

    def _with_sources(self, parts: Sequence[Part]) -> list[Part]:
        """Return `parts` with the entries in no memory that they follow from, in order."""
        found = list(parts)
        needed = {a.name for part in parts for body in bodies(part) for a in accesses(body)}
        for part in reversed(self.group):
            along = part.out.indices != self.row.axes
            if along and part.out.name in needed and self._is_local(part):
                found.append(part)
                needed |= {a.name for body in bodies(part) for a in accesses(body)}
        return [part for part in self.group if part in found]

    def _stores(self, parts: Sequence[Part]) -> list[str]:
        return [line for part in parts for line in stores_of(self.draft, part)]

    def _is_local(self, *parts: Part) -> bool:
        return any(part.out.name in self.draft.memory.local for part in parts)

    def _length(self) -> str:
        return size(self.draft, (self.row.along,))


def _is_own(step: Sequence[Part], part: Part) -> bool:
    """Whether a map needs no other thread's entries of the maps before it."""
    written = {p.out.name: p.out for p in step}
    reads = [a for body in bodies(part) for a in accesses(body) if a.name in written]
    return all(a == written[a.name].canonical for a in reads)

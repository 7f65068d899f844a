"""Addresses: which buffers lie in the place of others that are not needed at the same time.

Memory is pieces, each of rows. A row holds one number for every value of the free extents: one for
each example of a batch, of any size. A buffer is so many rows; so if two do not overlap in rows,
they do not for any batch. A number is four bytes: integers of numpy take two rows, or two numbers
of a row of float64. What is narrow, two bytes, has pieces of its own: beside float64 it is not.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from operator import itemgetter

from sympy import Expr

from bpgen.ir.index import Extent, Index

FLOAT = 4  # bytes
NARROW = "narrow"  # half a float
_BYTES = {"float": FLOAT, "int": 8, "int32": 4, "bool": 1, "double": 8, NARROW: 2}  # of an entry


@dataclass(frozen=True, slots=True)
class Border:
    """What no step writes of arrays of one shape: `value`, wherever no box is, from begin to end.

    The memory of a buffer that has one serves others that have the same.
    """

    value: Expr
    shape: tuple[int | str, ...]
    boxes: frozenset[tuple[tuple[int, int], ...]]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of memory, of rows with a number for each value of the extents `row`.

    `of` is the buffer that has it alone, if one has; `border` what every buffer in it has around;
    `kind` is what its numbers are.
    """

    row: tuple[Extent, ...]
    of: str = ""
    border: Border | None = None
    kind: str = "float"

    def bytes(self, rows: int, batch: int) -> int:
        """Return the size of so many rows, for a batch of so many examples."""
        return rows * _BYTES[self.kind] * prod(e.count(batch) for e in self.row)


@dataclass(frozen=True, slots=True)
class Buffer:
    """What needs memory, and at what times.

    One that is `alone` shares its memory with none, as what is read from outside must. One that is
    no whole number of rows, as a tile is, has a `row` that holds it. `own` are the times at which
    one entry is needed, where steps run for some entries after the others; else they are `lives`.
    It begins at a multiple of so many rows as `aligned` says.
    """

    name: str
    indices: tuple[Index, ...]
    kind: str
    lives: tuple[range, ...]
    alone: bool = False
    row: Extent | None = None
    border: Border | None = None
    own: tuple[range, ...] = ()
    aligned: int = 1

    def piece(self, free: Collection[Extent]) -> Piece:
        """Return the piece of memory that this buffer lies in."""
        if self.row is not None:
            return Piece((self.row,))
        row = sorted((i.extent for i in self.indices if _is_free(i, free)), key=lambda e: e.name)
        if self.alone:
            return Piece(tuple(row), self.name, kind=self._kind)
        return Piece(tuple(row), border=self.border, kind=self._kind)

    def rows(self, free: Collection[Extent]) -> int:
        """Return how many rows this buffer takes."""
        if self.row is not None:
            return 1
        entries = prod(i.extent.value or 1 for i in self.indices if not _is_free(i, free))
        return -(-entries * _BYTES[self.kind] // _BYTES[self._kind])

    @property
    def step(self) -> int:
        """Return what the number of the first row is a multiple of, so that entries are aligned."""
        return max(self.aligned, _BYTES[self.kind] // _BYTES[self._kind])

    @property
    def _kind(self) -> str:
        """Return what the numbers of its piece are."""
        return self.kind if self.kind == NARROW else "float"


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a buffer: `count` of them, the first of which is number `begin`."""

    piece: Piece
    begin: int
    count: int


@dataclass(frozen=True)
class Workspace:
    """The rows of every buffer that shares memory, in the order in which they are first needed."""

    rows: Mapping[str, Rows]
    lives: Mapping[str, tuple[range, ...]]
    own: Mapping[str, tuple[range, ...]]

    @cached_property
    def pieces(self) -> Mapping[Piece, int]:
        """Return how many rows each piece of memory has."""
        found: dict[Piece, int] = {}
        for r in self.rows.values():
            found[r.piece] = max(found.get(r.piece, 0), r.begin + r.count)
        return found

    def bytes(self, batch: int) -> int:
        """Return the size of all memory, for a batch of so many examples."""
        return sum(piece.bytes(count, batch) for piece, count in self.pieces.items())

    def unshared(self, batch: int) -> int:
        """Return the size of all buffers, if each had memory of its own."""
        return sum(r.piece.bytes(r.count, batch) for r in self.rows.values())

    def bound(self, batch: int) -> int:
        """Return what is needed at the worst time: no assignment of addresses takes less.

        Buffers that lie on the same rows by intent, one written in the place of the other, are
        counted once; what has a border is never in the place of what has none.
        """
        bordered = {r.piece.border for r in self.rows.values()}
        return sum(self._worst(border, batch) for border in bordered)

    def _worst(self, border: Border | None, batch: int) -> int:
        needed: dict[int, dict[tuple[Piece, int, int], int]] = {}
        for name, r in self.rows.items():
            if r.piece.border == border:
                for time in (time for life in self.lives[name] for time in life):
                    at = needed.setdefault(time, {})
                    at[r.piece, r.begin, r.count] = r.piece.bytes(r.count, batch)
        return max((sum(at.values()) for at in needed.values()), default=0)


# Whether the step at a time, which needs the second buffer for the last time, may write the first
# one in its place.
InPlace = Callable[[Buffer, Buffer, int], bool]


def assigned(buffers: Sequence[Buffer], free: Collection[Extent], in_place: InPlace) -> Workspace:
    """Return rows for all `buffers`, such that none overlaps another while both are needed.

    A row has an entry for every value of the extents `free`, and of those known at run time only.
    """
    groups = list(_grouped(buffers, free, in_place))
    found: dict[str, Rows] = {}
    for piece in dict.fromkeys(group.piece for group in groups):
        own = [group for group in groups if group.piece == piece]
        for begin, group in min((_placed(own, order) for order in _ORDERS), key=_height):
            found |= {b.name: Rows(piece, begin, group.count) for b in group.buffers}
    first = sorted(buffers, key=lambda b: b.lives[0].start)
    rows, lives = {b.name: found[b.name] for b in first}, {b.name: b.lives for b in first}
    return Workspace(rows, lives, {b.name: b.own or b.lives for b in first})


@dataclass(frozen=True, slots=True)
class _Group:
    """Buffers that lie in the same rows, each written in the place of the one before.

    `times` has a bit for each time at which one of them is needed, `own` for each at which one
    entry is.
    """

    piece: Piece
    count: int
    step: int
    buffers: tuple[Buffer, ...]
    times: int
    own: int

    @property
    def first(self) -> int:
        """Return the first time at which the rows are needed."""
        return (self.times & -self.times).bit_length()

    @property
    def last(self) -> int:
        """Return the last time at which the rows are needed."""
        return self.times.bit_length()


_Order = Callable[[_Group], tuple[int, ...]]
# Large ones first, or long-lived ones first: neither is best for every network.
_ORDERS: tuple[_Order, ...] = (
    lambda g: (-g.count, g.first),
    lambda g: (-g.count * g.times.bit_count(), g.first),
    lambda g: (-g.times.bit_count(), -g.count),
    lambda g: (g.first, -g.count),
    lambda g: (-g.last, -g.count),
)


def _placed(groups: Iterable[_Group], order: _Order) -> list[tuple[int, _Group]]:
    """Give each group, in `order`, the lowest rows where it meets none that has rows already."""
    placed: list[tuple[int, _Group]] = []
    for group in sorted(groups, key=order):
        begin = 0
        for start, other in placed:
            if other.times & group.times:
                if start - begin >= group.count:
                    break
                end = max(begin, start + other.count)
                begin = -(-end // group.step) * group.step
        insort(placed, (begin, group), key=itemgetter(0))
    return placed


def _height(placed: Iterable[tuple[int, _Group]]) -> int:
    return max(begin + group.count for begin, group in placed)


def _grouped(
    buffers: Iterable[Buffer], free: Collection[Extent], in_place: InPlace
) -> Iterator[_Group]:
    """Bring together what is computed in place: one is needed last when the next is written."""
    groups: dict[Piece, list[_Group]] = {}
    for buffer in sorted(buffers, key=lambda b: (b.own or b.lives)[0].start):
        times, own = _bits(buffer.lives), _bits(buffer.own or buffer.lives)
        alone = _Group(buffer.piece(free), buffer.rows(free), buffer.step, (buffer,), times, own)
        found = groups.setdefault(alone.piece, [])
        place = next((k for k, g in enumerate(found) if _follows(alone, g, in_place)), None)
        if place is None:
            found.append(alone)
        else:
            both = found[place]
            found[place] = replace(
                both,
                buffers=(*both.buffers, buffer),
                times=both.times | times,
                own=both.own | own,
            )
    return (group for found in groups.values() for group in found)


def _follows(alone: _Group, group: _Group, in_place: InPlace) -> bool:
    """Whether a buffer is always written in the place of the one of `group` that is read last."""
    common = alone.own & group.own
    if (alone.count, alone.step) != (group.count, group.step) or not common:
        return False
    (out,) = alone.buffers
    starts = [life.start for life in out.own or out.lives if common >> life.start & 1]
    return common == sum(1 << time for time in starts) and all(
        _ends(b, time) and in_place(out, b, time)
        for time in starts
        for b in group.buffers
        if _at(b, time)
    )


def _at(buffer: Buffer, time: int) -> bool:
    return any(time in life for life in buffer.own or buffer.lives)


def _ends(buffer: Buffer, time: int) -> bool:
    return any(life.stop == time + 1 for life in buffer.own or buffer.lives)


def _bits(lives: Iterable[range]) -> int:
    return sum((1 << times.stop) - (1 << times.start) for times in lives)


def _is_free(index: Index, free: Collection[Extent]) -> bool:
    return index.extent.value is None or index.extent in free

"""Where tensors lie: what Python calls the memory of each, and which share theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from math import prod
from typing import TYPE_CHECKING, TypeVar

import sympy
from sympy import Expr

from bpgen.ir.affine import affine
from bpgen.ir.expr import Access, Digit
from bpgen.ir.index import Index
from bpgen.ir.program import View
from bpgen.ir.reshape import known
from bpgen.ir.tensor import Role, Tensor
from bpgen.lower.sight import seen

_T = TypeVar("_T")
NUMBERS = frozenset({"real", "narrow"})  # the C++ types of what is computed with
FEW = {"real": 4, "narrow": 8}  # entries that a thread moves at once, 16 bytes of the shortest

if TYPE_CHECKING:
    from bpgen.targets.cupy.panels import Panel


@dataclass(frozen=True, slots=True)
class Memory:
    """Every tensor by name; the expression of its memory in Python; whose entries it reads, if any.

    A tensor in `seen` is another one under other indices, entry for entry in the same order. One in
    `views` is some entries of another: whatever reads it reads these, at once or later. `tiles` is
    who owns tiles, if there are any. What `lacks` an axis, by its place, has one entry along it at
    a time. Of a tensor `taken` at the turns of loops a kernel is given that part, `[b]`. What is
    `local` is in no memory: one kernel knows it, or those that panels end in. Where products read
    bf16, `narrow` are the tensors that are stored so, and `rounded` is what Python calls the copies
    of parameters.
    """

    tensors: Mapping[str, Tensor]
    names: Mapping[str, str]
    seen: Mapping[str, str]
    views: Mapping[str, View]
    tiles: str = ""
    lacks: Mapping[str, frozenset[int]] = field(default_factory=dict)
    taken: Mapping[str, str] = field(default_factory=dict)
    local: frozenset[str] = frozenset()
    panels: tuple[Panel, ...] = ()

    @property
    def again(self) -> frozenset[str]:
        """Return the names of what each kernel computes anew that needs it."""
        return frozenset(name for panel in self.panels for name in panel.parts)

    narrow: frozenset[str] = frozenset()
    rounded: Mapping[str, str] | None = None

    @property
    def factor(self) -> str:
        """The C++ type of what products read."""
        return "real" if self.rounded is None else "narrow"

    def of_factors(self) -> Memory:
        """Return the memory as products see it: parameters are read, and biases, as copies."""
        copies = self.rounded or {}
        return replace(self, names={**self.names, **copies}, narrow=self.narrow | copies.keys())

    def root(self, name: str) -> str:
        """Return the tensor whose memory holds the entries of `name`; a result has its own."""
        while name in self.seen or (name in self.views and name not in self.names):
            name = self.seen.get(name) or self.views[name].read.name
        return name

    def kind(self, name: str) -> str:
        """Return the C++ type of the entries of a tensor."""
        root = self.root(name)
        tensor = self.tensors[root]
        if tensor.role is Role.SCALAR:
            return "double"
        if root in self.narrow:
            return "narrow"
        return "int" if tensor.is_integer else "real"

    def held(self, name: str, of: Sequence[_T]) -> tuple[_T, ...]:
        """Return what belongs to the axes that a tensor has in memory, of all its axes."""
        gone = self.lacks.get(name, frozenset())
        return tuple(x for place, x in enumerate(of) if place not in gone)

    def axes(self, name: str) -> tuple[Index, ...]:
        """Return the axes that a tensor has in memory."""
        return self.held(name, self.tensors[name].indices)

    def text(self, root: str) -> str:
        """Return what Python calls the memory that a kernel is given."""
        return f"{self.names[root]}{self.taken.get(root, '')}"

    def is_aligned(self, name: str) -> bool:
        """Whether memory begins at a multiple of 16 bytes: parameters lie anywhere in a vector."""
        root = self.root(name)
        place = self.names[root]
        if (
            root in self.taken
            and prod(i.extent.value or 1 for i in self.axes(root)) % FEW[self.factor]
        ):
            return False
        return place.endswith(".flat") or not place.startswith(("p.", "g."))

    def resolved(self, expr: Expr) -> Expr:
        """Return a formula that reads, for the entries of a view, those that it sees."""
        return seen(expr, self.views)

    def at(self, entries: Iterable[Access], fixed: Mapping[Index, str]) -> Memory:
        """Return the memory of a kernel that touches these entries, for one value of `fixed`.

        Where a tensor lies turn by turn, and all of them are of this turn, it is given that part.
        """
        turns: dict[str, tuple[Index, ...]] = {}
        names: dict[str, set[str]] = {}
        for entry in entries:
            root, found = self.root(entry.name), self._turn(entry, fixed)
            turns[root] = _common(turns.get(root, found), found)
            names.setdefault(root, {root}).add(entry.name)
        lacks, taken = dict(self.lacks), dict(self.taken)
        for root, common in turns.items():
            if common:
                taken[root] = "".join(f"[{fixed[i]}]" for i in common)
                for name in names[root]:
                    places = self.held(name, range(len(self.tensors[name].indices)))
                    lacks[name] = self.lacks.get(name, frozenset()) | {*places[: len(common)]}
        return replace(self, lacks=lacks, taken=taken)

    def _turn(self, entry: Access, fixed: Mapping[Index, str]) -> tuple[Index, ...]:
        """Return the fixed indices by which an entry is found along the first axes in memory."""
        axes, own = self.axes(entry.name), self.axes(self.root(entry.name))
        found: list[Index] = []
        for at, *pair in zip(self.held(entry.name, entry.indices), axes, own, strict=False):
            if not isinstance(at, Index) or at not in fixed or len({i.extent for i in pair}) > 1:
                break
            found.append(at)
        return tuple(found)


def _common(one: Sequence[_T], other: Sequence[_T]) -> tuple[_T, ...]:
    """Return what two sequences begin with."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return tuple(a for a, _ in pairs)


@dataclass(frozen=True, slots=True)
class Touched:
    """The tensors whose memory a launch reads or adds to, and those whose memory it assigns.

    `in_place` are pairs of one that is assigned and one that is read: their memory may be the same,
    for each entry is read for the last time by the thread that writes there.
    """

    reads: tuple[str, ...] = ()
    assigns: tuple[str, ...] = ()
    in_place: frozenset[tuple[str, str]] = frozenset()


def is_same_memory(view: View, source: Tensor) -> bool:
    """Whether the entries of a view are all those of `source`, in the same order."""
    flat: list[tuple[Index, int, int]] = []
    for at, axis in zip(view.read.indices, source.indices, strict=True):
        parts = _parts(at, axis)
        if parts is None:
            return False
        flat += parts
    return _in_turn(flat, view.out.indices)


def _parts(at: Expr, axis: Index) -> list[tuple[Index, int, int]] | None:
    """Return what an axis is read by: indices with the weight and radix of the digit they give."""
    if isinstance(at, Index):
        return [(at, 1, at.extent.value or 0)] if at.extent == axis.extent else None
    if isinstance(at, Digit):
        stride, radix = map(sympy.sympify, (known(at.stride), known(at.extent)))
        if not (stride.is_Integer and radix.is_Integer) or int(radix) != axis.extent.value:
            return None
        return [(at.index, int(stride), int(radix))]
    if isinstance(at, Access) or at.has(Access):
        return None
    found = affine(at)
    if found is None or not found.is_complete(axis.extent):
        return None
    ordered = sorted(found.coefficients, key=lambda i: -found.coefficients[i])
    return [(i, 1, i.extent.value or 0) for i in ordered]


def _in_turn(parts: list[tuple[Index, int, int]], axes: tuple[Index, ...]) -> bool:
    """Whether digits follow each other, the widest first, as the axes do, and none is left out."""
    rest = list(parts)
    for axis in axes:
        own = []
        while rest and rest[0][0] == axis:
            own.append(rest.pop(0))
        if not own:
            return False
        if axis.extent.value is None:
            if own != [(axis, 1, 0)]:
                return False
            continue
        want = 1
        for _, stride, radix in reversed(own):
            if stride != want:
                return False
            want *= radix
        if want != axis.extent.value:
            return False
    return not rest

"""Where tensors lie: what Python calls the memory of each, and which share theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import sympy
from sympy import Expr

from bpgen.ir.affine import affine
from bpgen.ir.expr import Access, Digit, access, accesses
from bpgen.ir.index import Index
from bpgen.ir.program import View
from bpgen.ir.reshape import known
from bpgen.ir.tensor import Role, Tensor

if TYPE_CHECKING:
    from bpgen.targets.cupy.panels import Panel

NUMBERS = frozenset({"real", "narrow"})  # the C++ types of what is computed with


@dataclass(frozen=True, slots=True)
class Memory:
    """Every tensor by name; the expression of its memory in Python; whose entries it reads, if any.

    A tensor in `seen` is another one under other indices, entry for entry in the same order. One in
    `views` is some entries of another: whatever reads it reads these, at once or later. `tiles` is
    memory for tiles, if there is any. What is `local` is in no memory: one kernel knows it,
    or those that panels end in. Where products read bf16, `narrow` are the tensors that are stored
    so, and `rounded` is what Python calls the copies of parameters.
    """

    tensors: Mapping[str, Tensor]
    names: Mapping[str, str]
    seen: Mapping[str, str]
    views: Mapping[str, View]
    tiles: str = ""
    local: frozenset[str] = frozenset()
    panels: tuple[Panel, ...] = ()
    narrow: frozenset[str] = frozenset()
    rounded: Mapping[str, str] | None = None

    @property
    def again(self) -> frozenset[str]:
        """Return the names of what each kernel computes anew that needs it."""
        return frozenset(name for panel in self.panels for name in panel.parts)

    @property
    def factor(self) -> str:
        """The C++ type of what products read."""
        return "real" if self.rounded is None else "narrow"

    def of_factors(self) -> Memory:
        """Return the memory as products see it: parameters are read, and biases, as copies."""
        copies = self.rounded or {}
        return replace(self, names={**self.names, **copies}, narrow=self.narrow | copies.keys())

    def root(self, name: str) -> str:
        """Return the tensor whose memory holds the entries of `name`."""
        while name in self.seen or name in self.views:
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

    def is_aligned(self, name: str) -> bool:
        """Whether memory begins where its first entry does: parameters lie anywhere in a vector."""
        place = self.names[self.root(name)]
        return place.endswith(".flat") or not place.startswith(("p.", "g."))

    def resolved(self, expr: Expr) -> Expr:
        """Return a formula that reads, for the entries of a view, those that it sees."""
        if not any(a.name in self.views for a in accesses(expr)):
            return expr
        args = [self.resolved(a) for a in expr.args]
        if not isinstance(expr, Access):
            return cast("Expr", expr.func(*args))
        if expr.name not in self.views:
            return access(expr.name, args[1:])
        view = self.views[expr.name]
        places = dict(zip(view.out.indices, args[1:], strict=True))
        return self.resolved(view.read.xreplace(places))


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

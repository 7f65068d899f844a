"""Buffers without the axis of a loop: each turn writes them anew, and reads what it wrote."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from sympy import Basic, Expr

from bpgen.ir.expr import Access, access, accesses
from bpgen.ir.index import Index
from bpgen.ir.order import shift
from bpgen.ir.program import (
    Blocks,
    Contract,
    Map,
    Part,
    Place,
    Program,
    Reduce,
    RowBlocks,
    Single,
    Statement,
    Step,
    Turns,
)
from bpgen.ir.tensor import Tensor
from bpgen.lower.lives import functions_of, results_of
from bpgen.lower.sight import Sight, rebound, seen

Dropped = Mapping[str, frozenset[Index]]


def without_axes(program: Program) -> Program:
    """Return `program` with buffers that lack the axis of a loop, if no turn reads another's."""
    dropped = _Turned(program, rebound(program)).dropped()

    def changed(parts: tuple[Part, ...]) -> tuple[Part, ...]:
        return tuple(_shortened(part, dropped) for part in parts)

    return replace(program.changed(changed), in_turn=_own(program, dropped))


def in_turn(program: Program, sight: Sight) -> dict[str, Tensor]:
    """Return the tensors whose buffers lack the axis of a loop, without it."""
    return _own(program, _Turned(program, sight).dropped())


def _own(program: Program, dropped: Dropped) -> dict[str, Tensor]:
    return {name: _short(program.tensors[name], dropped) for name in dropped}


@dataclass(frozen=True, slots=True)
class _Touch:
    """A step that reads an entry of a buffer, or assigns it, and the loops around it."""

    read: Access
    assigns: bool
    loops: tuple[Turns, ...]


@dataclass(slots=True)
class _Turned:
    """Every touch of every buffer, in the order of each function."""

    program: Program
    sight: Sight

    def dropped(self) -> dict[str, frozenset[Index]]:
        """Return the axes that buffers, and views of them, may lack."""
        views: dict[str, list[str]] = {}
        for name in self.sight.views:
            views.setdefault(self._entry(name).name, []).append(name)
        touches: dict[str, list[_Touch]] = {}
        for parts in functions_of(self.program).values():
            for touch in self._touches(parts, ()):
                touches.setdefault(touch.read.name, []).append(touch)
        kept = {*self.program.network.outputs.values(), *results_of(self.program)}
        found: dict[str, frozenset[Index]] = {}
        for root, own in touches.items():
            names = {root, *views.get(root, ())}
            axes = self._axes(own, names) if names.isdisjoint(kept) else frozenset()
            found |= dict.fromkeys(names, axes)
        return {name: axes for name, axes in found.items() if axes}

    def _entry(self, name: str) -> Access:
        """Return what entry of memory the entries of a tensor are."""
        (entry, *_) = accesses(seen(self.program.tensors[name].canonical, self.sight.views))
        return entry

    def _axes(self, touches: list[_Touch], names: Collection[str]) -> frozenset[Index]:
        """Return the axes along which each turn of a loop assigns, and reads, its entry alone."""
        first, *_ = touches
        around = {loop.index for loop in first.loops}
        entries = [self._entry(name) for name in names]
        return frozenset(
            i
            for i in around
            if self._is_turned(touches, i) and all(self._shift(e, i) == 0 for e in entries)
        )

    def _is_turned(self, touches: list[_Touch], index: Index) -> bool:
        begun: list[Turns] = []
        for touch in touches:
            loop = next((one for one in touch.loops if one.index == index), None)
            if loop is None or self._shift(touch.read, index) != 0:
                return False
            if all(one is not loop for one in begun):
                if not touch.assigns:
                    return False
                begun.append(loop)
        return True

    def _shift(self, read: Access, index: Index) -> int | None:
        return shift(read, self.program.tensors[read.name].indices, index)

    def _touches(self, parts: Iterable[Part], loops: tuple[Turns, ...]) -> Iterator[_Touch]:
        for part in parts:
            if isinstance(part, Turns):
                yield from self._touches(part.parts, (*loops, part))
            elif isinstance(part, Step) and not self.sight.is_view(part):
                reads = self.sight.reads(part)
                yield from (_Touch(a, assigns=False, loops=loops) for a in reads)
                out = self._entry(part.equation.out.name)
                yield _Touch(out, assigns=not part.adds, loops=loops)


def _shortened(part: Part, dropped: Dropped) -> Part:
    """Return a part whose statements know of no axis that a buffer lacks; formulas stay."""
    match part:
        case Step():
            return replace(part, statements=tuple(_statement(s, dropped) for s in part.statements))
        case Turns():
            return replace(part, parts=tuple(_shortened(p, dropped) for p in part.parts))
        case Blocks() | RowBlocks():
            raise AssertionError("blocks come after the axes of buffers are known")


def _statement(statement: Statement, dropped: Dropped) -> Statement:
    if isinstance(statement, Single):
        inner = _statement(statement.statement, dropped)
        assert isinstance(inner, Map | Reduce | Contract | Single)
        return replace(statement, statement=inner)
    changes: dict[str, Any] = {}
    for field in fields(statement):
        value = getattr(statement, field.name)
        match value:
            case Tensor():
                changes[field.name] = _short(value, dropped)
            case Expr():
                changes[field.name] = _formula(value, dropped)
            case (Expr(), *_):
                changes[field.name] = tuple(_formula(v, dropped) for v in value)
    if isinstance(statement, Place):
        gone = dropped.get(statement.out.name, frozenset())
        pairs = zip(statement.out.indices, statement.parts, strict=True)
        changes["parts"] = tuple(part for index, part in pairs if index not in gone)
    return replace(statement, **changes)


def _short(tensor: Tensor, dropped: Dropped) -> Tensor:
    gone = dropped.get(tensor.name, frozenset())
    return replace(tensor, indices=tuple(i for i in tensor.indices if i not in gone))


def _formula(expr: Basic, dropped: Dropped) -> Basic:
    if not expr.args:
        return expr
    args = [_formula(a, dropped) for a in expr.args]
    if not isinstance(expr, Access):
        return expr.func(*args)
    gone = dropped.get(expr.name, frozenset())
    return access(expr.name, [at for at in args[1:] if at not in gone])

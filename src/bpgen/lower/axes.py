"""Buffers without the axis of a loop: each turn writes them anew, and reads what it wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from sympy import Basic, Expr

from bpgen.ir.expr import Access, access
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
from bpgen.lower.lives import functions_of, is_view, results_of, roots_of

Dropped = Mapping[str, frozenset[Index]]


def without_axes(program: Program) -> Program:
    """Return `program` with buffers that lack the axis of a loop, if no turn reads another's."""
    dropped = _Turned(program).dropped()
    own = {name: _short(program.tensors[name], dropped) for name in dropped}

    def changed(parts: tuple[Part, ...]) -> tuple[Part, ...]:
        return tuple(_shortened(part, dropped) for part in parts)

    return replace(program.changed(changed), in_turn=own)


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

    def dropped(self) -> dict[str, frozenset[Index]]:
        """Return the axes that buffers, and views of them, may lack."""
        functions = functions_of(self.program)
        roots = roots_of(functions.values())
        touches: dict[str, list[_Touch]] = {}
        for parts in functions.values():
            for touch in _touches(parts, ()):
                root = roots.get(touch.read.name, touch.read.name)
                touches.setdefault(root, []).append(touch)
        kept = {*self.program.network.outputs.values(), *results_of(self.program)}
        found: dict[str, frozenset[Index]] = {}
        for root, own in touches.items():
            names = {root, *(view for view, of in roots.items() if of == root)}
            axes = self._axes(own) if names.isdisjoint(kept) else frozenset()
            found |= dict.fromkeys(names, axes)
        return {name: axes for name, axes in found.items() if axes}

    def _axes(self, touches: list[_Touch]) -> frozenset[Index]:
        """Return the axes along which each turn of a loop assigns, and reads, its entry alone."""
        first, *_ = touches
        around = {loop.index for loop in first.loops}
        return frozenset(i for i in around if self._is_turned(touches, i))

    def _is_turned(self, touches: list[_Touch], index: Index) -> bool:
        begun: list[Turns] = []
        for touch in touches:
            loop = next((one for one in touch.loops if one.index == index), None)
            tensor = self.program.tensors[touch.read.name]
            if loop is None or shift(touch.read, tensor.indices, index) != 0:
                return False
            if all(one is not loop for one in begun):
                if not touch.assigns:
                    return False
                begun.append(loop)
        return True


def _touches(parts: Iterable[Part], loops: tuple[Turns, ...]) -> Iterator[_Touch]:
    for part in parts:
        if isinstance(part, Turns):
            yield from _touches(part.parts, (*loops, part))
        elif isinstance(part, Step) and not is_view(part):
            yield from (_Touch(a, assigns=False, loops=loops) for a in part.equation.accesses())
            yield _Touch(part.equation.out.canonical, assigns=not part.adds, loops=loops)


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

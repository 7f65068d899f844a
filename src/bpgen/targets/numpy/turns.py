"""Statements at one value of an index: in a turn of a loop, or at one place of an axis.

`z[n,t,k]` at t is the array `a.z[:, t]` with the axes n and k. So a statement is rewritten with
such arrays as its tensors, and is spelled as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import sympy
from sympy import Basic, Expr

from bpgen.ir.affine import affine
from bpgen.ir.expr import Access, access
from bpgen.ir.index import Extent, Index, Scalar
from bpgen.ir.program import (
    Carry,
    Contract,
    Gather,
    Map,
    Place,
    Reduce,
    Single,
    Statement,
    Step,
    View,
)
from bpgen.ir.tensor import Tensor
from bpgen.lower.lives import written
from bpgen.lower.row_blocks import Length
from bpgen.targets.numpy.scalar import is_scalar, scalar
from bpgen.targets.numpy.values import subscript

if TYPE_CHECKING:
    from bpgen.targets.numpy.target import NumpyTarget

Fixed = Mapping[Index, Expr]


@dataclass(frozen=True, slots=True)
class Slices:
    """The arrays at fixed indices: how code names them, and the tensors they are.

    A slice is called as code writes it, which no tensor is. An index may be fixed to the one over a
    block: code calls the slice of what holds all rows `rows`, and of what holds one block `block`.
    """

    names: Mapping[str, str]
    tensors: Mapping[str, Tensor]
    fixed: Fixed
    rows: str = "rows"
    block: str = "block"
    _names: dict[str, str] = field(default_factory=dict)
    _tensors: dict[str, Tensor] = field(default_factory=dict)

    @property
    def made(self) -> frozenset[str]:
        """Return the slices."""
        return frozenset(self._names)

    def all_names(self) -> dict[str, str]:
        """Return how code names every tensor and slice."""
        return {**self.names, **self._names}

    def all_tensors(self) -> dict[str, Tensor]:
        """Return every tensor and slice by name."""
        return {**self.tensors, **self._tensors}

    def statement(self, statement: Statement) -> Statement:
        """Return `statement` with slices for tensors."""
        match statement:
            case Map() | Reduce():
                out = self._out(statement.out)
                return replace(statement, out=out, body=self.formula(statement.body))
            case Contract():
                factors = tuple(map(self.formula, statement.factors))
                return replace(statement, out=self._out(statement.out), factors=factors)
            case Place():
                kept = [not is_scalar(self.fixed.get(i, i)) for i in statement.out.indices]
                parts = tuple(p for p, keep in zip(statement.parts, kept, strict=True) if keep)
                pad = self.formula(statement.pad)
                return replace(statement, out=self._out(statement.out), pad=pad, parts=parts)
            case View():
                read = self.formula(statement.read)
                assert isinstance(read, Access)
                return View(self._out(statement.out), read)
            case Gather():
                read = self.formula(statement.read)
                assert isinstance(read, Access)
                return Gather(self._out(statement.out), read)
            case _:
                raise AssertionError(f"{statement} is not carried out in a loop")

    def formula(self, expr: Basic) -> Expr:
        """Return a formula with its fixed indices replaced, and slices for entries."""
        if isinstance(expr, Index):
            return self.fixed.get(expr, expr)
        if not expr.args:
            return expr
        args = [self.formula(a) for a in expr.args]
        return self._entry(expr.name, args[1:]) if isinstance(expr, Access) else expr.func(*args)

    def _out(self, tensor: Tensor) -> Tensor:
        entry = self.formula(tensor.canonical)
        assert isinstance(entry, Access)
        axes = tuple(i for i in entry.indices if isinstance(i, Index))
        return replace(tensor, name=entry.name, indices=axes)

    def _entry(self, name: str, ats: list[Expr]) -> Access:
        own = self.tensors[name]
        picked: list[str | None] = []
        rest: list[Expr] = []
        axes: list[Index] = []
        for place, axis in zip(ats, own.indices, strict=True):
            if is_scalar(place):
                picked.append(scalar(place))
                continue
            if isinstance(place, Index) and isinstance(place.extent, Length):
                picked.append(self.block if place == axis else self.rows)
                rest.append(place)
                axes.append(place)
                continue
            cut, at, length = _run(place, axis)
            picked.append(cut)
            rest.append(at)
            axes.append(length)
        if not any(picked):
            return access(name, ats)
        in_blocks = not {self.rows, self.block}.isdisjoint(picked)
        text = f"{self.names[name]}[{subscript([*picked, None] if in_blocks else picked)}]"
        self._names[text] = text
        self._tensors[text] = replace(own, name=text, indices=tuple(axes))
        return access(text, rest)


def _run(place: Expr, axis: Index) -> tuple[str | None, Expr, Index]:
    """Return the run of an axis that a turn reads, and the place and the axis in it.

    `x[2 t + u]` reads, at t, the U entries of `x[2 * t : 2 * t + U]` at u.
    """
    turn, moving = place.as_independent(Index, as_Add=True)
    start = sympy.Add(*(term for term in sympy.Add.make_args(turn) if term.has(Scalar)))
    within = affine(moving + turn - start)
    if start == 0 or within is None:
        return None, place, axis
    length = within.most - within.least + 1
    begin, end = start + within.least, start + within.most + 1
    at = moving + turn - start - within.least
    return f"{scalar(begin)} : {scalar(end)}", at, Index(axis.name, Extent(str(length), length))


def at(target: NumpyTarget, statement: Statement, fixed: Fixed) -> list[str]:
    """Return the code of a statement at fixed values of some indices."""
    if isinstance(statement, Single):
        return at(target, statement.statement, {**fixed, statement.index: statement.at})
    if isinstance(statement, Carry):
        return _carried(target, statement, fixed)
    if not fixed:
        return target.statement(statement)
    slices = _slices(target, fixed)
    inner = slices.statement(statement)
    lines = target.seeing(slices).statement(inner)
    return _inside(target, statement, fixed, lines) if isinstance(statement, Place) else lines


def _slices(target: NumpyTarget, fixed: Fixed) -> Slices:
    scratch = target.scratch
    return Slices(target.names, target.tensors, fixed, scratch.rows, scratch.block)


def written_at(target: NumpyTarget, step: Step, fixed: Fixed) -> str:
    """Return how code names what a step writes, in a turn of the loops over the indices `fixed`."""
    slices = _slices(target, fixed)
    entry = slices.formula(written(step).canonical)
    assert isinstance(entry, Access)
    return slices.all_names()[entry.name]


def _carried(target: NumpyTarget, statement: Carry, fixed: Fixed) -> list[str]:
    """Take what another turn has left; where there is none, what stands outside."""
    out, scale = statement.out, statement.scale
    lines = at(target, Map(out, scale * statement.entry, statement.accumulate), fixed)
    lines = [f"if {_is_there(target, statement, fixed)}:", *(f"    {line}" for line in lines)]
    if statement.accumulate and statement.value == 0:
        return lines
    start = at(target, Map(out, scale * statement.value, statement.accumulate), fixed)
    return [*lines, "else:", *(f"    {line}" for line in start)]


def _inside(target: NumpyTarget, place: Place, fixed: Fixed, lines: list[str]) -> list[str]:
    """Return the lines of a turn that lays a tensor into a larger one, if it is there at all."""
    bounds = []
    for index, (begin, end, _) in zip(place.out.indices, place.parts, strict=True):
        if is_scalar(fixed.get(index, index)):
            turn = scalar(fixed[index])
            bounds += [f"{turn} > {begin - 1}"] if begin > 0 else []
            bounds += [f"{turn} < {end}"] if end < (index.extent.value or end) else []
    if not bounds:
        return lines
    lines = [f"if {' and '.join(bounds)}:", *(f"    {line}" for line in lines)]
    if place.accumulate:
        return lines
    outside = at(target, Map(place.out, place.scale * place.pad.value), fixed)
    return [*lines, "else:", *(f"    {line}" for line in outside)]


def _is_there(target: NumpyTarget, statement: Carry, fixed: Fixed) -> str:
    """Return the condition under which the entry of another turn exists."""
    index, axes = statement.index, target.tensors[statement.entry.name].indices
    pairs = zip(statement.entry.indices, axes, strict=True)
    place, axis = next((place, axis) for place, axis in pairs if place.has(index))
    turn, shift = scalar(fixed[index]), int(place - index)
    same = axis.extent.value == index.extent.value
    bounds = [f"{turn} > {-shift - 1}"] if shift < 0 else []
    if shift > 0 and same:
        bounds.append(f"{turn} < {scalar(index.extent - shift)}")
    elif not same and (index.extent.value or 0) + shift > (axis.extent.value or 0):
        bounds.append(f"{turn} < {scalar(axis.extent - shift)}")
    return " and ".join(bounds) or "True"

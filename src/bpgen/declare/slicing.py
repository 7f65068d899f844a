"""Slices as numpy has them: `x[:, 2:5]` is a tensor, `x[:, 3]` one with an axis less."""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Expr

from bpgen.declare.define import define
from bpgen.declare.formula import pad
from bpgen.declare.given import fresh_index
from bpgen.declare.variable import Auto, Variable, here
from bpgen.errors import IndexUseError
from bpgen.ir.index import Index


def is_slice(indices: Any) -> bool:
    """Whether a subscript is one of numpy's, and no entry of a formula."""
    given = indices if isinstance(indices, tuple) else (indices,)
    return any(isinstance(i, slice) or i is Ellipsis for i in given)


def sliced(x: Variable, indices: Any) -> Variable:
    """Return the tensor `y[n,d] = x[n, step d + begin]`; axes that are not named are whole.

    Errors: IndexUseError if there are too many, nothing is left, or a mark is no slice or number.
    """
    given = _completed(x, indices if isinstance(indices, tuple) else (indices,))
    to: list[Index] = []
    at: list[Expr] = []
    for axis, mark in zip(x.indices, given, strict=True):
        if mark == slice(None):
            to.append(axis)
            at.append(axis)
        elif isinstance(mark, slice):
            index, place = _range(x, axis, mark, to)
            to.append(index)
            at.append(place)
        else:
            at.append(sympy.Integer(_number(x, axis, mark)))
    return define(Auto("{}_slice", always=False, of=(x,)), to, pad(x[tuple(at)]))


def _completed(x: Variable, given: tuple[Any, ...]) -> tuple[Any, ...]:
    dots = [k for k, mark in enumerate(given) if mark is Ellipsis]
    missing = len(x.indices) - len(given) + len(dots[:1])
    if missing < 0 or len(dots) > 1:
        raise _refused(x, f"{len(given)} slices are given for {len(x.indices)} axes")
    place = dots[0] if dots else len(given)
    return (*given[:place], *[slice(None)] * missing, *given[place + len(dots) :])


def _range(x: Variable, axis: Index, mark: slice, before: list[Index]) -> tuple[Index, Expr]:
    marks = (mark.start, mark.stop, mark.step)
    if axis.extent.value is None or any(m is not None and not isinstance(m, int) for m in marks):
        raise _refused(x, f"axis `{axis}` is cut at {':'.join(map(str, marks))}")
    found = range(*mark.indices(axis.extent.value)) if mark.step != 0 else range(0)
    if not found:
        raise _refused(x, f"nothing of axis `{axis}` is left; {axis.extent} = {axis.extent.value}")
    if len(found) == axis.extent.value:
        return axis, found.start + found.step * axis
    index = fresh_index(len(found), axis.name, *x.indices, *before)
    return index, found.start + found.step * index


def _number(x: Variable, axis: Index, mark: Any) -> int:
    extent = axis.extent.value
    if not isinstance(mark, int) or extent is None or not -extent <= mark < extent:
        raise _refused(x, f"{mark!r} is no entry of axis `{axis}`; {axis.extent} = {extent}")
    return mark % extent


def _refused(x: Variable, disagree: str) -> IndexUseError:
    return IndexUseError(
        f"`{x.label}` cannot be sliced so",
        where=here(),
        disagree=disagree,
        rule="A slice is what numpy takes: begin:end:step with numbers, one for each axis; the "
        "batch stays whole.",
        way_out=f"Write {x.label}[:, 1:] for {x!r}, or read entries by indices in bp.define.",
    )

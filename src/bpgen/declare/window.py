"""Index expressions of a formula: what may stand in them, and entries outside a tensor.

`x[n, 2*h + u]` must stay inside the axis. `bp.pad(x[n, 2*h + u - 1])` may leave it: the tensor is
given a border first, `x_pad[n,a] = x[n,a-1] (0 outside)`, and read inside, `x_pad[n, 2*h + u]`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import sympy
from sympy import Expr

from bpgen.declare.given import fresh_index
from bpgen.declare.variable import Head, Variable, here
from bpgen.errors import FormulaError, IndexUseError, ShapeError
from bpgen.ir.affine import Affine, affine, reaches
from bpgen.ir.expr import Access, Digit, Pad
from bpgen.ir.index import Index


def variable_of(entry: Access) -> Variable:
    """Return the variable of which `entry` is an entry."""
    head = entry.head
    assert isinstance(head, Head)
    return head.variable


def check_reads(expr: sympy.Basic) -> None:
    """Refuse an entry whose indices are not affine, or can leave its tensor without `bp.pad`.

    Errors: IndexUseError, FormulaError.
    """
    if isinstance(expr, Pad):
        for at in expr.entry.indices:
            _checked_affine(expr.entry, at)
        return
    if isinstance(expr, Access):
        for axis, at in zip(variable_of(expr).indices, expr.indices, strict=True):
            if isinstance(at, Index):
                _check_extent(expr, axis, at)
            elif not isinstance(at, Digit | Access | sympy.Integer):
                _check_inside(expr, axis, at)
    for arg in expr.args:
        check_reads(arg)


def _check_extent(entry: Access, axis: Index, at: Index) -> None:
    if at.extent.value != axis.extent.value:
        own = variable_of(entry)
        raise ShapeError(
            f"index `{at}` cannot run over axis `{axis}` of `{own.label}`",
            where=here(),
            disagree=f"{at.extent} = {at.extent.value or 'batch'}; "
            f"{own!r} has {axis.extent} = {axis.extent.value or 'batch'}",
            rule="An index visits every entry of the axis once, so the two extents must be equal.",
            way_out=f"Give `{at}` the extent of that axis, or read another tensor; "
            f"bp.pad({_shown(entry)}) reads 0 outside.",
        )


def _check_inside(entry: Access, axis: Index, at: Expr) -> None:
    found = _checked_affine(entry, at)
    if not reaches(at, axis.extent):
        raise IndexUseError(
            f"index `{at}` can leave axis `{axis}` of `{variable_of(entry).label}`",
            where=here(),
            disagree=f"{at} runs from {found.least} to {found.most}; "
            f"{axis.extent} = {axis.extent.value or 'batch'}",
            rule="Every entry of a formula exists, unless the formula says what stands outside.",
            way_out=f"Write bp.pad({_shown(entry)}) to read 0 outside, "
            "or give the indices smaller extents.",
        )


def _checked_affine(entry: Access, at: Expr) -> Affine:
    found = affine(at)
    if found is None:
        raise FormulaError(
            f"index `{at}` of `{variable_of(entry).label}` is not affine",
            where=here(),
            disagree=f"it stands in {_shown(entry)}",
            rule="An index is a sum of indices times whole numbers, a number, a digit `d // 8`, or "
            "an entry of an integer tensor; the batch index stands alone.",
            way_out="Write it as `2*h + u - 1`, or compute the address in a tensor of integers.",
        )
    return found


def _shown(entry: Access) -> str:
    return f"{variable_of(entry).label}[{', '.join(map(str, entry.indices))}]"


# ---- entries outside a tensor --------------------------------------------------------------------


def leaves(entry: Access) -> bool:
    """Whether an index of `entry` can leave the tensor."""
    axes = variable_of(entry).indices
    return any(not reaches(at, i.extent) for i, at in zip(axes, entry.indices, strict=True))


def is_shifted(entry: Access) -> bool:
    """Whether every index of `entry` is an index of its own, plus a number: no window."""
    parts = [affine(at) for at in entry.indices]
    one = all(p is not None and list(p.coefficients.values()) in ([1], []) for p in parts)
    found = [i for p in parts if p is not None for i in p.coefficients]
    return one and len(set(found)) == len(found)


def bordered(pad: Pad) -> tuple[tuple[Index, ...], Pad, tuple[Expr, ...]]:
    """Return the axes of the tensor with a border, what it reads, and where the formula reads it.

    The border is as wide as the formula needs it.
    """
    axes: list[Index] = []
    shifted: list[Expr] = []
    at: list[Expr] = []
    taken = {i for e in pad.entry.indices for i in e.free_symbols if isinstance(i, Index)}
    for axis, expr in zip(variable_of(pad.entry).indices, pad.entry.indices, strict=True):
        found = _checked_affine(pad.entry, expr)
        if reaches(expr, axis.extent):
            wide = axis if axis not in axes else fresh_index(axis.extent.value or 1, "ab", *taken)
            shifted.append(wide)
            at.append(expr)
        else:
            wide = fresh_index(found.most - found.least + 1, "ab", *taken, *axes)
            shifted.append(wide + found.least)
            at.append(expr - found.least)
        axes.append(wide)
        taken.add(wide)
    entry = Access(pad.entry.head, *shifted)
    return tuple(axes), Pad(entry, pad.value), tuple(at)


# ---- a maximum over a window, axis by axis -------------------------------------------------------


def joined_axes(body: Expr, outer: tuple[Index, ...]) -> tuple[Expr, Mapping[Index, Expr]]:
    """Write a window that `body` reads in one place alone, `2*h + u`, as one index.

    Return the formula, and what each new index stands for: max_v x[2*h+u, 2*w+v] is computed once
    for each row, not once for each window that the row is in.
    """
    windows: dict[Index, Expr] = {}
    taken = {i for i in body.free_symbols if isinstance(i, Index)}
    for u in outer:
        places = {
            (at, axis.extent.value)
            for e in body.atoms(Access)
            for at, axis in zip(e.indices, variable_of(e).indices, strict=True)
            if at.has(u)
        }
        expr, length = next(iter(places)) if len(places) == 1 else (None, None)
        found = affine(expr) if expr is not None else None
        if expr is None or found is None or len(found.coefficients) < 2 or found.least:
            continue
        wide = fresh_index(length or 1, "ab", *taken)
        merged = _replaced(body, expr, wide)
        if not any(merged.has(i) for i in found.coefficients):
            body, windows[wide] = merged, expr
            taken.add(wide)
    # The last window may end before the axis does: Pad says that this is meant.
    entries = {e: Pad(e) for e in body.atoms(Access) if windows.keys() & {*e.indices}}
    return body.xreplace(entries), windows


def _replaced(body: Expr, expr: Expr, index: Index) -> Expr:
    entries = {
        e: Access(e.head, *(index if at == expr else at for at in e.indices))
        for e in body.atoms(Access)
    }
    return body.xreplace(entries)


# ---- an axis on the left side that joins several indices -----------------------------------------


def split_axes(
    name: str, over: tuple[Expr, ...]
) -> tuple[tuple[Index, ...], tuple[Index, ...], tuple[Expr, ...]]:
    """Return the axes of a tensor that is written at `over`, and what is written by its parts.

    That is: one index an axis; all indices of `over`, the widest step first; and each of those as
    a digit of its axis.
    Errors: IndexUseError if an entry of the axis is written twice, or never.
    """
    axes: list[Index] = []
    parts: list[Index] = []
    digits: list[Expr] = []
    given = [i for at in over for i in at.free_symbols if isinstance(i, Index)]
    for at in over:
        if isinstance(at, Index):
            axes.append(at)
            parts.append(at)
            digits.append(at)
            continue
        ordered = _complete_radix(name, at)
        length = math.prod(i.extent.value or 0 for i, _ in ordered)
        axis = fresh_index(length, "hwab", *given, *axes)
        axes.append(axis)
        parts += [i for i, _ in ordered]
        digits += [Digit(axis, step, i.extent) for i, step in ordered]
    return tuple(axes), tuple(parts), tuple(digits)


def _complete_radix(name: str, at: Expr) -> list[tuple[Index, int]]:
    """Return the indices of `at`, the widest step first, if it takes every value exactly once."""
    found = affine(at)
    steps = sorted(found.coefficients.items(), key=lambda part: part[1]) if found else []
    want = 1
    for index, step in steps:
        if step != want:
            break
        want *= index.extent.value or 0
    if not steps or found is None or found.offset or want != found.most + 1:
        raise IndexUseError(
            f"`{name}` cannot be written at `{at}`",
            where=here(),
            disagree=_clash(steps),
            rule="The left side writes every entry once: 0, 1, 2, … without overlap or gap.",
            way_out="Let the step of an index be the product of the extents of those with smaller "
            "steps: `2*h + u` with two values of u. Sum what overlaps: read by bp.pad instead.",
        )
    return steps[::-1]


def _clash(steps: list[tuple[Index, int]]) -> str:
    want = 1
    for index, step in steps:
        if step != want:
            word = "two entries meet" if step < want else "entries are left out"
            return f"the step of `{index}` is {step}, where {want} is needed: {word}"
        want *= index.extent.value or 0
    return "it does not begin at 0, or is no sum of indices times whole numbers"

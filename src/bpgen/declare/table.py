"""Tables: numbers that the declaration gives, one for each entry."""

from __future__ import annotations

import math
from collections.abc import Iterator
from numbers import Real
from typing import Any

from bpgen.declare.given import given
from bpgen.declare.variable import Name, Variable, check_once, here
from bpgen.errors import FormulaError, ShapeError
from bpgen.ir.index import Index
from bpgen.ir.tensor import Role


def table(name: Name, indices: Index | tuple[Index, ...], values: Any) -> Variable:
    """Declare a tensor of numbers that never change.

    Shapes: `values` are nested as the axes are: `bp.table("tap", (h, j), [[0, 5], [3, 1]])`; an
    array does as well. Whole numbers from 0 on can be addresses, `x[n, tap[h,j]]`; decimals are
    numbers of a formula, exactly as they are written.
    Errors: ShapeError if there is not one value for each entry; FormulaError if one is not a finite
    number; IndexUseError if an index stands on two axes.
    """
    axes = (indices,) if isinstance(indices, Index) else tuple(indices)
    stem = name if isinstance(name, str) else name.plain
    check_once(stem, axes)
    nested = values.tolist() if hasattr(values, "tolist") else values
    entries = tuple(_entries(stem, nested, axes))
    if all(isinstance(e, int) and e >= 0 for e in entries):
        below = 1 + max(int(e) for e in entries)
        return given(name, axes, Role.TABLE, below=below, values=tuple(map(int, entries)))
    return given(name, axes, Role.TABLE, values=tuple(map(float, entries)))


def _entries(name: str, nested: Any, axes: tuple[Index, ...]) -> Iterator[Any]:
    """Yield the numbers of a nested sequence, the last axis fastest."""
    if not axes:
        is_number = isinstance(nested, Real) and not isinstance(nested, bool)
        if not is_number or not math.isfinite(nested):
            raise FormulaError(
                f"table `{name}` holds {nested!r}",
                where=here(),
                rule="Each entry of a table is a finite number.",
                way_out="Give numbers, nested as deeply as the table has axes.",
            )
        yield nested
        return
    first, *rest = axes
    count = len(nested) if hasattr(nested, "__len__") and not isinstance(nested, str) else None
    if count != first.extent.value:
        raise ShapeError(
            f"the values of table `{name}` do not fit its axes",
            where=here(),
            disagree=f"axis `{first}` has {first.extent} = {first.extent.value or 'batch'}; "
            f"given are {'a number' if count is None else f'{count} parts'}",
            rule="There is one value for each entry.",
            way_out="Give as many values as the index has, one list inside the other.",
        )
    for part in nested:
        yield from _entries(name, part, tuple(rest))

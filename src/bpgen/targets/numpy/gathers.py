"""Entries at addresses that are data, taken by their place in memory."""

from __future__ import annotations

import sympy

from bpgen.ir.expr import Access
from bpgen.ir.index import Index
from bpgen.ir.program import Gather
from bpgen.targets.numpy.arrays import Arrays
from bpgen.targets.numpy.scalar import scalar
from bpgen.targets.numpy.scratch import Axes
from bpgen.targets.numpy.values import Value, in_order


def gather(arrays: Arrays, statement: Gather) -> list[str]:
    """Take entries by address: along one axis if the others are read whole, else flat."""
    out, entry = statement.out, statement.read
    source, to = arrays.names[entry.name], arrays.names[out.name]
    found = [k for k, at in enumerate(entry.indices) if isinstance(at, Access)]
    if len(found) == 1 and len(entry.indices) > 1:
        (axis,) = found
        address = arrays.read(entry.indices[axis])
        before, after = entry.indices[:axis], entry.indices[axis + 1 :]
        if (*before, *address.axes, *after) == out.indices:
            return [f'{source}.take({address.text}, axis={axis}, out={to}, mode="clip")']
    address, lines = _address(arrays, entry, out.indices)
    return [*lines, f'{source}.take({address.text}, out={to}, mode="clip")']


def _address(arrays: Arrays, entry: Access, axes: Axes) -> tuple[Value, list[str]]:
    """Return the place of an entry in memory as integers over `axes`, by Horner's scheme."""
    scratch = arrays.scratch
    register = scratch.take(axes, "int")
    scratch.free(register)
    value = Value(scratch.text(register), axes, register)
    extents = [i.extent for i in arrays.tensors[entry.name].indices]
    row, last = entry.indices[0], entry.indices[-1]
    if len(extents) == 2 and isinstance(row, Index) and isinstance(last, Access):
        starts = Value(scratch.starts(*extents), (row,)).along(axes)
        return value, [f"np.add({starts}, {_place(arrays, last, axes)}, out={value.text})"]
    places = [_place(arrays, at, axes) for at in entry.indices]
    lines, so_far = [], places[0]
    for extent, place in zip(extents[1:], places[1:], strict=True):
        lines.append(f"np.multiply({so_far}, {scratch.count(extent)}, out={value.text})")
        lines.append(f"np.add({value.text}, {place}, out={value.text})")
        so_far = value.text
    return (value, lines) if lines else (Value(so_far, axes), lines)


def _place(arrays: Arrays, at: sympy.Expr, axes: Axes) -> str:
    if isinstance(at, Access):
        return in_order(arrays.read(at), axes).along(axes)
    if isinstance(at, Index):
        return Value(arrays.scratch.range_of(at.extent), (at,)).along(axes)
    return scalar(at)

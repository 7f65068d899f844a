"""Tensors seen under other axes, laid into larger ones, and cut to smaller ones."""

from __future__ import annotations

from bpgen.ir.index import Extent, Index
from bpgen.ir.program import Place, View
from bpgen.ir.reshape import split_axes
from bpgen.targets.numpy.arrays import Arrays
from bpgen.targets.numpy.values import Value, in_order, shape


def view(arrays: Arrays, statement: View) -> list[str]:
    """See a tensor under other axes; where its digits are apart, copy it into place instead."""
    out, read = statement.out, statement.read
    split = split_axes(read, out.indices)
    if split is None:
        value = in_order(arrays.read(read), out.indices)
        return [f"{arrays.names[out.name]} = {value.text}"]
    to, source = split
    value = in_order(Value(arrays.names[read.name], source), to)
    return [f"np.copyto({arrays.names[out.name]}.reshape({shape(to)}), {value.text})"]


def place(arrays: Arrays, statement: Place) -> list[str]:
    """Write into a part of the result, or add to it."""
    out, entry = Value(arrays.names[statement.out.name], statement.out.indices), statement.pad.entry
    parts = zip(statement.out.indices, statement.parts, strict=True)
    inside = {i: (begin, end, shift) for i, (begin, end, shift) in parts}
    at = [_cut(begin, end, i.extent) for i, (begin, end, _) in inside.items()]
    axes = arrays.tensors[entry.name].indices
    cuts, found = [], []
    for place, axis in zip(entry.indices, axes, strict=True):
        index = next((i for i in place.free_symbols if isinstance(i, Index)), None)
        if index is None:
            cuts.append(str(place))
            continue
        begin, end, shift = inside[index]
        cuts.append(_cut(begin + shift, end + shift, axis.extent))
        found.append(index)
    source = Value(f"{arrays.names[entry.name]}{_subscript(cuts)}", tuple(found))
    text = in_order(source, out.axes).along(out.axes)
    to = f"{out.text}{_subscript(at)}"
    if statement.scale != 1 and not statement.accumulate:
        return [f"np.multiply({text}, {arrays.scratch.number(statement.scale)}, out={to})"]
    if not statement.accumulate:
        return [f"np.copyto({to}, {text})"]
    if statement.scale in (1, -1):
        ufunc = "np.add" if statement.scale == 1 else "np.subtract"
        return [f"{ufunc}({to}, {text}, out={to})"]
    scale = arrays.scratch.number(statement.scale)
    register = arrays.scratch.take(out.axes)
    arrays.scratch.free(register)
    part = f"{arrays.scratch.text(register)}{_subscript(at)}"
    return [
        f"np.multiply({text}, {scale}, out={part})",
        f"np.add({to}, {part}, out={to})",
    ]


def _cut(begin: int, end: int, extent: Extent) -> str:
    """Return a slice, counted from the nearer end: `1:-1`."""
    length = extent.value
    if length is None:
        return ":"
    first = str(begin) if begin else ""
    last = "" if end == length else str(end if end <= length - end else end - length)
    return f"{first}:{last}"


def _subscript(slices: list[str]) -> str:
    return f"[{', '.join(slices)}]" if any(s != ":" for s in slices) else ""

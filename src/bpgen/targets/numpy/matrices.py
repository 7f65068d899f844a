"""Arrays as stacks of matrices: which indices are rows and columns, and what is copied for that."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bpgen.ir.index import Index
from bpgen.targets.numpy.scratch import Axes, Part, Register, Scratch
from bpgen.targets.numpy.values import Value, in_order


@dataclass(frozen=True, slots=True)
class Layout:
    """The indices of a product of stacks: `out[stack, rows, columns]`, summed over two groups.

    `added` are summed after the product, one matrix at a time; `over` inside it.
    """

    stack: Axes
    rows: Axes
    columns: Axes
    added: Axes
    over: Axes

    def instead(self, axis: Index, part: Index) -> Layout:
        """Return the layout with `part` in the place of `axis`."""
        groups = (self.stack, self.rows, self.columns, self.added, self.over)
        return Layout(*(instead(group, axis, part) for group in groups))


def matmul(texts: list[str], to: str, layout: Layout) -> str:
    """Return the product of two matrices, written into `to`."""
    out = matrix(to, layout.stack, layout.rows, layout.columns)
    return f"np.matmul({texts[0]}, {texts[1]}, out={out})"


def cut(value: Value, axis: Index, part: Index, name: str) -> Value:
    """Return the entries of `value` in the slice `name` of `axis`, if it has that axis."""
    if axis not in value.axes:
        return value
    text, own = value.source or (value.text, value.axes)
    marks = ", ".join([*[":"] * own.index(axis), name])
    cut = Value(f"{text}[{marks}]", instead(own, axis, part), strided=value.strided)
    return in_order(cut, instead(value.axes, axis, part))


def instead(axes: Axes, axis: Index, part: Index) -> Axes:
    """Return axes with `part` in the place of `axis`."""
    return tuple(part if i == axis else i for i in axes)


def operand(
    value: Value,
    layout: Layout,
    groups: tuple[Axes, Axes],
    scratch: Scratch,
    taken: list[Register],
) -> tuple[str, list[str]]:
    """Return a stack of matrices, rows and columns of `groups`, and the lines that copy it."""
    outer, inner = groups
    stack = tuple(i for i in (*layout.added, *layout.stack) if i in value.axes)
    straight, turned = (*stack, *outer, *inner), (*stack, *inner, *outer)
    lines: list[str] = []
    if value.strided or value.axes not in (straight, turned):
        axes = turned if _is_turned(value, outer, inner) else straight
        rows = inner if axes == turned else outer
        register = scratch.take(axes, rows=rows if has_part(axes) else ())
        taken.append(register)
        copy = Value(scratch.text(register), axes, register)
        lines.append(f"np.copyto({copy.text}, {in_order(value, axes).text})")
        value = copy
    is_turned = value.axes != straight
    rows, columns = (inner, outer) if is_turned else (outer, inner)
    text = matrix(value.text, stack, rows, columns, layout.added + layout.stack)
    return (f"{text}.swapaxes(-1, -2)" if is_turned else text), lines


def _is_turned(value: Value, outer: Axes, inner: Axes) -> bool:
    """Whether a copy with `outer` last reads memory in longer runs than one with `inner` last.

    In windows the position and the place inside both lie side by side in memory: the longer one
    comes last. Elsewhere it is the group that holds the last axis in memory.
    """
    if not outer or not inner:
        return False
    if value.strided:
        return length(outer[-1]) > length(inner[-1])
    return value.axes[-1] in outer


def length(index: Index) -> float:
    """Return how long an axis is; one that is free until run time counts as the longest."""
    return math.inf if index.extent.value is None else index.extent.value


def matrix(text: str, stack: Axes, rows: Axes, columns: Axes, whole: Axes | None = None) -> str:
    """Return a stack of matrices; an index of `whole` that it lacks is an axis of length 1."""
    own = [*(whole or stack)]
    while own and own[0] not in stack:
        own.pop(0)
    sizes = [_size(i) if i in stack else "1" for i in own]
    sizes += [_product(rows), _product(columns)]
    if len(rows) == len(columns) == 1 and "1" not in sizes:
        return text
    return f"{text}.reshape({', '.join(sizes)})"


def has_part(axes: Axes) -> bool:
    """Whether an array of these axes is a tile."""
    return any(isinstance(i.extent, Part) for i in axes)


def _product(group: Axes) -> str:
    if has_part(group):
        return "-1"
    return " * ".join(_size(i) for i in group) or "1"


def _size(index: Index) -> str:
    return str(index.extent)

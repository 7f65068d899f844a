"""A sum of products whose operands must be copied first: windows laid out as columns.

    z[n,f,h,w] = Σ_{c,u,v} W[f,c,u,v] x[n,c,h+u,w+v]

    np.copyto(a.u_ncuvhw, a.x_ncuvhw)
    np.matmul(p.W.reshape(F, C * U * V), a.u_ncuvhw.reshape(N, C * U * V, H * W), out=…)

The result is a stack of matrices: its first indices may be of one operand or of both, then come
rows of one operand and columns of the other. A sum over the stack is taken afterwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bpgen.ir.index import Index
from bpgen.targets.numpy.scratch import Axes, Part, Register, Scratch
from bpgen.targets.numpy.values import Value, in_order, outer_axes


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


def by_copies(a: Value, b: Value, over: Axes, out: Value, scratch: Scratch) -> list[str] | None:
    """Return the lines that write Σ_over a b into `out`; None if no stack of matrices does it."""
    found = _layout(a, b, over, out.axes)
    if found is None or out.strided or outer_axes(out.text):
        return None
    layout, swapped = found
    if not layout.rows and not layout.columns:
        return None
    left, right = (b, a) if swapped else (a, b)
    axis = _tile_axis(layout, left, right)
    if axis is not None:
        return _by_tiles(layout, left, right, out, axis, scratch)
    taken: list[Register] = []
    lines: list[str] = []
    texts = []
    for value, groups in _halves(layout, left, right):
        text, more = operand(value, layout, groups, scratch, taken)
        texts.append(text)
        lines += more
    if not layout.added:
        to = _matrix(out.text, layout.stack, layout.rows, layout.columns)
        lines.append(f"np.matmul({texts[0]}, {texts[1]}, out={to})")
    else:
        register = scratch.take(layout.added + out.axes)
        taken.append(register)
        text = scratch.text(register)
        to = _matrix(text, layout.added + layout.stack, layout.rows, layout.columns)
        lines.append(f"np.matmul({texts[0]}, {texts[1]}, out={to})")
        lines.append(f"np.add.reduce({text}, axis=0, out={out.text})")
    for register in taken:
        scratch.free(register)
    return lines


def _halves(
    layout: Layout, left: Value, right: Value
) -> tuple[tuple[Value, tuple[Axes, Axes]], tuple[Value, tuple[Axes, Axes]]]:
    return (left, (layout.rows, layout.over)), (right, (layout.over, layout.columns))


def _tile_axis(layout: Layout, left: Value, right: Value) -> Index | None:
    """Return the outermost position of windows that must be copied, if there are several groups.

    A copy of all windows would leave the cache; one product takes as many positions as stay there.
    """
    windows = next((v for v in (left, right) if v.strided), None)
    if windows is None or layout.stack or layout.added:
        return None
    groups = (layout.rows, layout.columns, layout.over)
    free = [g for g in groups if any(i.extent.value is None and i in windows.axes for i in g)]
    return free[0][0] if free and free[0][0] in windows.axes else None


def _by_tiles(
    layout: Layout, left: Value, right: Value, out: Value, axis: Index, scratch: Scratch
) -> list[str]:
    """Return a loop over tiles of the positions along `axis`: copy the windows, multiply."""
    windows = left if left.strided else right
    others = tuple(i for i in windows.axes if i != axis)
    tiles, part = scratch.tiles(axis, others)
    inside = Layout(*(instead(g, axis, part) for g in (
        layout.stack, layout.rows, layout.columns, layout.added, layout.over)))  # fmt: skip
    taken: list[Register] = []
    before: list[str] = []
    within: list[str] = []
    texts = []
    for value, groups in _halves(inside, *(cut(v, axis, part, scratch.tile) for v in (left, right))):
        text, more = operand(value, inside, groups, scratch, taken)
        texts.append(text)
        (within if part in value.axes else before).extend(more)
    if axis in layout.over:
        register = scratch.take(out.axes)
        taken.append(register)
        text = scratch.text(register)
        before.append(f"{out.text}[...] = 0")
        within.append(matmul(texts, text, inside))
        within.append(f"np.add({out.text}, {text}, out={out.text})")
    else:
        within.append(matmul(texts, cut(out, axis, part, scratch.tile).text, inside))
    for register in taken:
        scratch.free(register)
    return [*before, f"for {scratch.tile} in {tiles}:", *(f"    {line}" for line in within)]


def matmul(texts: list[str], to: str, layout: Layout) -> str:
    """Return the product of two matrices, written into `to`."""
    out = _matrix(to, layout.stack, layout.rows, layout.columns)
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


def _layout(a: Value, b: Value, over: Axes, out: Axes) -> tuple[Layout, bool] | None:
    """Return the groups, and whether the rows are those of `b`; None if the order does not fit."""
    first, second = set(a.axes), set(b.axes)
    if not set(over) <= first & second or not set(out) <= first | second:
        return None
    place = len(out)
    kinds = ["both" if {i} <= first & second else "a" if i in first else "b" for i in out]
    blocks: list[str] = []
    while place and kinds[place - 1] != "both":
        if kinds[place - 1] not in blocks[-1:]:
            if kinds[place - 1] in blocks or len(blocks) == 2:
                break
            blocks.append(kinds[place - 1])
        place -= 1
    inner = out[place:]
    swapped = (bool(blocks) and blocks[-1] == "b" and len(blocks) == 2) or blocks == ["a"]
    of_rows = second if swapped else first
    rows = tuple(i for i in inner if i in of_rows)
    columns = tuple(i for i in inner if i not in of_rows)
    added = over[:0]
    lead = a.axes[:1]
    if len(over) > 1 and lead == b.axes[:1] and set(lead) <= set(over):
        added = lead
    rest = tuple(i for i in over if i not in added)
    return Layout(out[:place], rows, columns, added, rest), swapped


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
        register = scratch.take(axes)
        taken.append(register)
        copy = Value(scratch.text(register), axes, register)
        lines.append(f"np.copyto({copy.text}, {in_order(value, axes).text})")
        value = copy
    is_turned = value.axes != straight
    rows, columns = (inner, outer) if is_turned else (outer, inner)
    text = _matrix(value.text, stack, rows, columns, layout.added + layout.stack)
    return (f"{text}.swapaxes(-1, -2)" if is_turned else text), lines


def _is_turned(value: Value, outer: Axes, inner: Axes) -> bool:
    """Whether a copy with `outer` last reads memory in longer runs than one with `inner` last.

    In windows the position and the place inside both lie side by side in memory: the longer one
    comes last. Elsewhere it is the group with the longest axis, along which memory is read.
    """
    if not outer or not inner:
        return False
    if value.strided:
        return _length(outer[-1]) > _length(inner[-1])
    return max((*inner, *outer), key=_length) in outer


def _length(index: Index) -> float:
    """Return how long an axis is; one that is free until run time counts as the longest."""
    return math.inf if index.extent.value is None else index.extent.value


def _matrix(text: str, stack: Axes, rows: Axes, columns: Axes, whole: Axes | None = None) -> str:
    """Return a stack of matrices; an index of `whole` that it lacks is an axis of length 1."""
    own = [*(whole or stack)]
    while own and own[0] not in stack:
        own.pop(0)
    sizes = [_size(i) if i in stack else "1" for i in own]
    sizes += [_product(rows), _product(columns)]
    if len(rows) == len(columns) == 1 and "1" not in sizes:
        return text
    return f"{text}.reshape({', '.join(sizes)})"


def _product(group: Axes) -> str:
    if any(isinstance(i.extent, Part) for i in group):
        return "-1"
    return " * ".join(_size(i) for i in group) or "1"


def _size(index: Index) -> str:
    return str(index.extent)

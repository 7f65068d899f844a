"""A sum of products whose operands must be copied first: windows laid out as columns.

    z[n,f,h,w] = Σ_{c,u,v} W[f,c,u,v] x[n,c,h+u,w+v]

    np.copyto(a.u_ncuvhw, a.x_ncuvhw)
    np.matmul(p.W.reshape(F, C * U * V), a.u_ncuvhw.reshape(N, C * U * V, H * W), out=…)

The result is a stack of matrices: its first indices may be of one operand or of both, then come
rows of one operand and columns of the other. A sum over the stack is taken afterwards. Windows of
a batch without a stack are copied and multiplied tile by tile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from bpgen.ir.index import Index
from bpgen.targets.numpy.matrices import Layout, cut, length, matmul, matrix, operand
from bpgen.targets.numpy.scratch import Axes, Register, Scratch
from bpgen.targets.numpy.values import Value, in_order, outer_axes


@dataclass(frozen=True, slots=True)
class Product:
    """Two matrices, or stacks of them, and where their product goes."""

    layout: Layout
    left: Value
    right: Value
    out: Value

    @property
    def halves(self) -> tuple[tuple[Value, tuple[Axes, Axes]], ...]:
        """Return the factors, each with its outer indices and its inner ones."""
        rows, columns, over = self.layout.rows, self.layout.columns, self.layout.over
        return (self.left, (rows, over)), (self.right, (over, columns))


def by_copies(a: Value, b: Value, over: Axes, out: Value, scratch: Scratch) -> list[str] | None:
    """Return the lines that write Σ_over a b into `out`; None if no stack of matrices does it."""
    found = _layout(a, b, over, out.axes)
    if found is None or out.strided or outer_axes(out.text):
        return None
    layout, swapped = found
    if not layout.rows and not layout.columns:
        return None
    product = Product(layout, b, a, out) if swapped else Product(layout, a, b, out)
    axis = _tile_axis(product)
    return _at_once(product, scratch) if axis is None else _by_tiles(product, axis, scratch)


def _at_once(product: Product, scratch: Scratch) -> list[str]:
    """Return the copies and the call; a sum over the stack is taken of a stack of results."""
    layout, out = product.layout, product.out
    taken: list[Register] = []
    lines: list[str] = []
    texts = []
    for value, groups in product.halves:
        text, more = operand(value, layout, groups, scratch, taken)
        texts.append(text)
        lines += more
    if not layout.added:
        lines.append(matmul(texts, out.text, layout))
    else:
        register = scratch.take(layout.added + out.axes)
        taken.append(register)
        text = scratch.text(register)
        to = matrix(text, layout.added + layout.stack, layout.rows, layout.columns)
        lines.append(f"np.matmul({texts[0]}, {texts[1]}, out={to})")
        lines.append(f"np.add.reduce({text}, axis=0, out={out.text})")
    for register in taken:
        scratch.free(register)
    return lines


# ---- tiles ---------------------------------------------------------------------------------------


def _tile_axis(product: Product) -> Index | None:
    """Return the outermost position of windows that are copied; None if nothing is, or few are.

    A copy of the windows of a whole batch would leave the cache; one product takes as many
    positions as stay there.
    """
    layout = product.layout
    windows = next((v for v in (product.left, product.right) if v.strided), None)
    if windows is None or layout.stack or layout.added:
        return None
    groups = (layout.rows, layout.columns, layout.over)
    free = [g for g in groups if any(i.extent.value is None and i in windows.axes for i in g)]
    return free[0][0] if free and free[0][0] in windows.axes else None


def _by_tiles(product: Product, axis: Index, scratch: Scratch) -> list[str]:
    """Return a loop over tiles of the positions along `axis`: copy the windows, multiply."""
    if axis in product.layout.over:
        product = _tall(product)
    windows = product.left if product.left.strided else product.right
    tiles, part = scratch.tiles(axis, tuple(i for i in windows.axes if i != axis))
    layout, out = product.layout.instead(axis, part), product.out
    left, right = (cut(v, axis, part, scratch.tile) for v in (product.left, product.right))
    taken: list[Register] = []
    before: list[str] = []
    within: list[str] = []
    after: list[str] = []
    texts = []
    for value, groups in Product(layout, left, right, out).halves:
        text, more = operand(value, layout, groups, scratch, taken)
        texts.append(text)
        (within if part in value.axes else before).extend(more)
    if axis in product.layout.over:
        total, after = _total(layout, out, scratch, taken)
        register = scratch.take(total.axes)
        taken.append(register)
        text = scratch.text(register)
        before.append(f"{total.text}[...] = 0")
        within.append(matmul(texts, text, layout))
        within.append(f"np.add({total.text}, {text}, out={total.text})")
    else:
        within.append(matmul(texts, cut(out, axis, part, scratch.tile).text, layout))
    for register in taken:
        scratch.free(register)
    return [*before, f"for {scratch.tile} in {tiles}:", *(f"    {line}" for line in within), *after]


def _tall(product: Product) -> Product:
    """Return the product of which the result has no fewer rows than columns.

    A sum along both operands' rows, A Bᵀ, runs at two thirds of BLAS's rate where A has few rows.
    """
    layout = product.layout
    if _count(layout.rows) >= _count(layout.columns):
        return product
    turned = replace(layout, rows=layout.columns, columns=layout.rows)
    return Product(turned, product.right, product.left, product.out)


def _count(axes: Axes) -> float:
    """Return how many entries axes count; a batch counts as the most."""
    return prod(length(i) for i in axes)


def _total(
    layout: Layout, out: Value, scratch: Scratch, taken: list[Register]
) -> tuple[Value, list[str]]:
    """Return where tiles are summed up, `out` or its like in another order, and how that ends."""
    axes = (*layout.rows, *layout.columns)
    if axes == out.axes:
        return out, []
    register = scratch.take(axes)
    taken.append(register)
    total = Value(scratch.text(register), axes, register)
    return total, [f"np.copyto({out.text}, {in_order(total, out.axes).text})"]


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

"""Windows laid over each other: a product, then each place of the window added where it belongs.

    ∂L/∂x[c,h+u,w+v] += Σ_f W[f,c,u,v] ∂L/∂z[f,h,w]

is a product over f for a tile of positions h, and for all u, v the sum of two slices.
"""

from __future__ import annotations

from sympy import Expr

from bpgen.ir.affine import affine
from bpgen.ir.expr import Access, indices_of
from bpgen.ir.index import Index
from bpgen.ir.program import Fold
from bpgen.targets.numpy.arrays import Arrays
from bpgen.targets.numpy.matrices import Layout, cut, instead, matmul, operand
from bpgen.targets.numpy.scratch import Axes, Register, Scratch
from bpgen.targets.numpy.ufuncs import Ufuncs
from bpgen.targets.numpy.values import Value, in_order


def fold(arrays: Arrays, statement: Fold, out: Value) -> list[str]:
    """Return the lines that make `out` zero, and add to it tile by tile."""
    scratch, ufuncs = arrays.scratch, Ufuncs(arrays)
    entry = arrays.read(statement.entry)
    columns = tuple(i for i in entry.axes if i not in statement.over)
    windows = tuple(i for i in statement.windows if i not in out.axes)
    rows = (*(i for i in out.axes if i in indices_of(statement.kernel)), *windows)
    order = _order(statement.kernel, (*rows, *statement.over))
    kernel = ufuncs.array(statement.kernel, order, order)
    tiles, part = scratch.tiles(columns[0], (*rows, *columns[1:]))
    within = instead(columns, columns[0], part)
    layout = Layout((), rows, within, (), statement.over)
    taken: list[Register] = [] if kernel.register is None else [kernel.register]
    left, before = operand(kernel, layout, (rows, statement.over), scratch, taken)
    tile = cut(entry, columns[0], part, scratch.tile)
    right, copies = operand(tile, layout, (statement.over, within), scratch, taken)
    register = scratch.take((*rows, *within), rows=rows)
    product = scratch.text(register)
    for one in (*taken, register):
        scratch.free(one)
    laid = _laid(statement, Value(product, (*rows, *columns)), out, columns[0], scratch)
    return [
        *ufuncs.lines,
        *before,
        f"{out.text}[...] = 0",
        f"for {scratch.tile} in {tiles}:",
        *(f"    {line}" for line in (*copies, matmul([left, right], product, layout), *laid)),
    ]


def _order(kernel: Expr, space: Axes) -> Axes:
    """Return the order of axes in which to read the kernel: its own, if that is one of indices."""
    own = kernel.indices if isinstance(kernel, Access) else ()
    plain = tuple(i for i in own if isinstance(i, Index))
    return plain if set(plain) == set(space) else space


def _laid(statement: Fold, product: Value, out: Value, axis: Index, scratch: Scratch) -> list[str]:
    """Return the loop over the places of the window, each of which adds one slice to another."""
    moved = dict(statement.at)
    windows = tuple(i for i in product.axes if i in statement.windows)
    names = {i: scratch.free_name(i.name.replace("′", "p")) for i in windows}
    picks = ", ".join(names.get(i, ":") for i in product.axes).removesuffix(", :")
    while picks.endswith(", :"):
        picks = picks.removesuffix(", :")
    value = Value(f"{product.text}[{picks}]", tuple(i for i in product.axes if i not in windows))
    own = {a: next(i for i in product.axes if at.has(i) and i not in windows)
           for a, at in moved.items()}  # fmt: skip
    target = tuple(own.get(i, i) for i in out.axes)
    slices = [_slice(moved[i], own[i], names, axis, scratch.tile) if i in moved else ":"
              for i in out.axes]  # fmt: skip
    while slices[-1] == ":":
        slices.pop()
    part = scratch.free_name("part")
    lines = [
        f"{part} = {out.text}[{', '.join(slices)}]",
        f"np.add({part}, {in_order(value, target).along(target)}, out={part})",
    ]
    extents = ", ".join(str(i.extent) for i in windows)
    head = f"for {', '.join(names.values())} in np.ndindex({extents}):"
    if len(windows) == 1:
        head = f"for {names[windows[0]]} in range({extents}):"
    return [head, *(f"    {line}" for line in lines)]


def _slice(at: Expr, own: Index, names: dict[Index, str], axis: Index, tile: str) -> str:
    """Return the slice `begin : end` of the result in which the positions `own` lie."""
    place = affine(at)
    assert place is not None, f"{at} is not affine"
    terms = [names[i] if c == 1 else f"{c} * {names[i]}"
             for i, c in place.coefficients.items() if i != own]  # fmt: skip
    terms += [str(place.offset)] if place.offset else []
    shift = " + ".join(terms)
    if own == axis:
        ends = [f"{tile}.start", f"{tile}.stop"]
        return " : ".join(f"{end} + {shift}" for end in ends)
    return f"{shift} : {shift} + {own.extent}"

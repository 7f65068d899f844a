"""Products of matrices that lie in memory as they are: a library multiplies them.

`out = left right + bias` is one line, `k.matmul(a.x, p.W, a.z, bias=p.b)`: the operands are views,
as numpy has them. Stacks of matrices are one product, or one for each entry of their first axis,
as the heads of an attention. An operand that is no matrix, as the windows of a convolution, is
copied to a tile first, where enough is computed from it; so is one that is not stored as products
read it. What is no such product, or too small to be worth it, is a kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import sympy
from sympy import Expr

from bpgen.ir.equation import Op, Term
from bpgen.ir.expr import Access, indices_of
from bpgen.ir.index import Extent, Index
from bpgen.targets.cupy.fusion import Entrywise, Part, Total
from bpgen.targets.cupy.kernel import Fixed, count
from bpgen.targets.cupy.memory import NUMBERS, Memory, Touched
from bpgen.targets.cupy.shapes import Axes, Matrices, matrices
from bpgen.targets.cupy.tiles import Tile, tile_of
from bpgen.targets.cupy.touched import entries, touched

MATMUL = "matmul"  # the kernel where the library is missing
ROOM = 2**25  # bytes that the library may use meanwhile
_WORTH = 2**18  # multiplications that are worth a library
_NARROW = 8  # rows or columns of matrices in a stack, below which it is not
# Rows, columns and what is summed of a product for which operands are copied. An entry of a copy is
# multiplied as often as there are rows, say F, and moves 6 bytes in bf16: 2 are read, 2 written and
# 2 read. An H200 moves 4.3 TB a second, and multiplies 17 T numbers by a kernel (half of what it
# could) or 400 T of bf16 by the library: F / 17 is more than F / 400 + 6 / 4.3 from 25 rows on. Of
# float32, of which 12 bytes are moved and 33 T multiplied, from 95 on, or fewer on the way to them.
_LARGE = {"real": 64, "narrow": 32}
_WORTH_A_COPY = 2**24  # its multiplications
_TOO_LARGE = 2**27  # entries of a copy
_UNKNOWN = 64  # what a free extent counts as

Terms = tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """The line that multiplies matrices, and the tiles that are filled before."""

    line: str
    touched: Touched
    tiles: tuple[Tile, ...] = ()


def matmul(part: Part, fixed: Fixed, memory: Memory) -> Product | None:
    """Return how matrices are multiplied; None if `part` is no product, or a small one."""
    if not isinstance(part, Total) or part.op is not Op.SUM:
        return None
    of = matrices(part, tuple(i for i in part.out.indices if i not in fixed))
    if of is None:
        return None
    bias, scale = _bias(part, of, fixed, memory), _number(part.scale)
    if bias is None or scale is None:
        return None
    ways = (_operands(part, of, turns, fixed, memory) for turns in _turns(of))
    direct = next((way for way in ways if way[0]), None)
    operands, tiles = direct or _tiled(part, of, fixed, memory)
    if not operands:
        return None
    given = [*operands, *([f"bias={bias}"] if bias else [])]
    given += [f"scale={scale}"] if scale != "1.0" else []
    given += ["add=True"] if part.accumulate else []
    found = touched(
        [part], memory, {memory.root(a.name) for a in entries([part], memory)}, is_row=False
    )
    copies = tuple(tile.tensor.name for tile in tiles)
    return Product(
        f"k.matmul({', '.join(given)})", replace(found, reads=(*found.reads, *copies)), tiles
    )


def apart(part: Part, terms: Terms, fixed: Fixed, memory: Memory) -> tuple[tuple[Part, Terms], ...]:
    """Return a product, and what is added to it in a kernel of its own, each with its terms."""
    whole = ((part, terms),)
    if not isinstance(part, Total) or part.plain == 0 or matmul(part, fixed, memory):
        return whole
    alone = replace(part, plain=sympy.S.Zero)
    if matmul(alone, fixed, memory) is None:
        return whole
    rest = Entrywise(part.out, part.plain, accumulate=True)
    return ((alone, terms[:1]), (rest, terms[1:]))


def _turns(of: Matrices) -> Iterator[Axes]:
    """Yield over what stacks of matrices are multiplied in turn: over nothing, or over an index.

    Matrices of a stack lie at equal steps. Those of all heads of all examples do not, but those of
    one head do.
    """
    yield ()
    known = [i for i in of.stack if i.extent.value is not None]
    if len(of.stack) > 1:
        yield from ((i,) for i in sorted(known, key=lambda i: _size((i,))))


def _operands(
    part: Total, of: Matrices, turns: Axes, fixed: Fixed, memory: Memory
) -> tuple[tuple[str, ...], tuple[Tile, ...]]:
    """Return the arrays of a product, and of its result; () if one is no view, or all are small.

    Behind them come the tiles of those that are not stored as products read them.
    """
    over = part.term.over
    stack = tuple(i for i in of.stack if i not in turns)
    is_narrow = bool(of.stack) and min(map(_size, (of.rows, of.columns, over))) < _NARROW
    if is_narrow or _size((*stack, *of.rows, *of.columns, *over)) < _WORTH:
        return (), ()
    tiles = list[Tile]()
    found = [
        _factor(read, (turns, stack, *own), fixed, memory, tiles)
        for read, own in ((of.left, (of.rows, over)), (of.right, (over, of.columns)))
    ]
    found.append(_matrix(part.out.canonical, (turns, stack, of.rows, of.columns), fixed, memory))
    return ((), ()) if None in found else (tuple(map(str, found)), tuple(tiles))


def _tiled(
    part: Total, of: Matrices, fixed: Fixed, memory: Memory
) -> tuple[tuple[str, ...], tuple[Tile, ...]]:
    """Return the arrays of a product, and the tiles among them; () if that is not worth it.

    Where rows or columns of the result do not lie together, as n and h, w in z[n,f,h,w], what comes
    first counts a stack. An operand that has not this index is the same for all of the stack.
    """
    over = part.term.over
    if of.stack or not memory.tiles or _size((*of.rows, *of.columns, *over)) < _WORTH_A_COPY:
        return (), ()
    first = tuple(i for i in part.out.indices if i not in fixed)[:1]
    for shared in ((), first):
        rows, columns = (tuple(i for i in own if i not in shared) for own in (of.rows, of.columns))
        if not rows or not columns:
            return (), ()
        out = _matrix(part.out.canonical, (shared, rows, columns), fixed, memory)
        if out is not None:
            break
    if out is None or min(map(_size, (rows, columns, over))) < _LARGE[memory.factor]:
        return (), ()
    texts, tiles = [], list[Tile]()
    for read, own in ((of.left, (rows, over)), (of.right, (over, columns))):
        groups = (shared, *own) if set(shared) <= indices_of(read) else own
        text = _factor(read, groups, fixed, memory, tiles)
        if text is None:
            tile = tile_of(read, groups, memory)
            if tile is None or _size(tile.tensor.indices) > _TOO_LARGE:
                return (), ()
            text = _copied(tile, groups, memory, tiles)
        texts.append(str(text))
    return (*texts, out), tuple(tiles)


def _factor(
    read: Expr, groups: tuple[Axes, ...], fixed: Fixed, memory: Memory, tiles: list[Tile]
) -> str | None:
    """Return an operand as an array; None if it is no view.

    One that is not stored as products read it is copied to a tile, which joins `tiles`.
    """
    own = memory.of_factors()
    text = _matrix(read, groups, fixed, own)
    if not isinstance(read, Access) or text is None or own.kind(read.name) == memory.factor:
        return text
    tile = tile_of(read, groups, memory)
    return None if tile is None else _copied(tile, groups, memory, tiles)


def _copied(tile: Tile, groups: tuple[Axes, ...], memory: Memory, tiles: list[Tile]) -> str | None:
    """Return a tile, which joins `tiles`, as an array."""
    tiles.append(tile)
    return _matrix(tile.tensor.canonical, groups, {}, tile.within(memory))


def _size(indices: Axes) -> int:
    """Return how many entries there are over `indices`, as far as that is known."""
    return prod(i.extent.value or _UNKNOWN for i in indices)


def _bias(part: Total, of: Matrices, fixed: Fixed, memory: Memory) -> str | None:
    """Return the vector that is added to every row; "" if nothing is, None if it is no vector."""
    match part.plain:
        case sympy.S.Zero:
            return ""
        case Access() if not part.accumulate:
            own = tuple(i for i in part.plain.indices if i not in fixed)
            if own != of.columns:
                return None
            is_rounded = memory.kind(part.out.name) == "narrow"  # then so is the bias
            seen = memory.of_factors() if is_rounded else memory
            return _matrix(part.plain, (of.columns,), fixed, seen)
        case _:
            return None


def _matrix(
    read: Expr, groups: tuple[Axes, ...], fixed: Fixed, memory: Memory, *, is_flat: bool = False
) -> str | None:
    """Return a tensor as an array with an axis for each group of indices; None if it is no view.

    Of the last two axes one must run along memory, which `is_flat` if Python knows no axes of it.
    """
    if not isinstance(read, Access) or memory.kind(read.name) not in NUMBERS:
        return None
    axes, order = memory.axes(read.name), list(memory.held(read.name, read.indices))
    pairs = zip(order, axes, strict=True)
    if not all(isinstance(at, Index) and _is_all(at, axis) for at, axis in pairs):
        return None
    root = memory.root(read.name)
    text, is_itself = memory.names[root], root == read.name
    for axis, own in zip(axes, memory.axes(root), strict=False):
        if order[0] not in fixed or axis.extent != own.extent:
            break
        text += f"[{fixed[order.pop(0)]}]"
    wanted = [group for group in groups if group]
    if any(i not in order for group in wanted for i in group):
        return None
    runs = sorted(wanted, key=lambda group: order.index(group[0]))
    if [i for run in runs for i in run] != order or runs[-1] not in wanted[-2:]:
        return None
    if is_flat or not is_itself or any(len(run) > 1 for run in runs):
        text += f".reshape({', '.join(map(count, runs))})"
    places = [runs.index(group) for group in wanted]
    if places == sorted(places):
        return text
    return f"{text}.T" if len(places) == 2 else f"{text}.transpose({', '.join(map(str, places))})"


def _is_all(index: Index, axis: Index) -> bool:
    """Whether an index runs along the whole of an axis."""
    size = index.extent.value
    return index.extent == axis.extent or (size is not None and size == axis.extent.value)


def _number(scale: Expr) -> str | None:
    """Return a factor in Python: a number, times or by free extents; None if it is more."""
    known = {e: e.value for e in scale.atoms(Extent) if e.value is not None}
    number, rest = scale.xreplace(known).as_independent(*scale.free_symbols, as_Add=False)
    text = repr(float(number)) if number.is_number else None
    for factor in sympy.Mul.make_args(rest) if text and rest != 1 else ():
        base, exponent = factor.as_base_exp()
        if not isinstance(base, Extent) or abs(exponent) != 1:
            return None
        text = f"{text} {'*' if exponent == 1 else '/'} {base.name}"
    return text

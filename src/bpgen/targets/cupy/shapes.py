"""Two shapes of a kernel: a reduction, and a product of matrices, with the maps after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sympy
from sympy import Expr

from bpgen.ir.equation import Op
from bpgen.ir.expr import accesses, indices_of
from bpgen.ir.index import Index
from bpgen.targets.cupy.fusion import Part, Total
from bpgen.targets.cupy.kernel import Draft, count

Axes = tuple[Index, ...]

_OPS = {
    Op.SUM: ("added", "real", "sum"),
    Op.MAX: ("largest", "real", "most"),
    Op.ARGMAX: ("largest_at", "int", "at"),
}
_SHORT, _WARP = 32, 1024  # sums that one thread, and one warp, may take alone
_WIDE, _MIDDLE = 128, 32  # matrices that are worth 4×4 and 2×2 entries a thread
_TILES = 64
_UNKNOWN = 64  # what a free extent counts as
_ROOM = 76  # columns of a lambda's parameters and its line


@dataclass(frozen=True, slots=True)
class Written:
    """The lines of a kernel, and how Python launches it: a method, and the sizes it is given."""

    lines: tuple[str, ...]
    method: str
    sizes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matrices:
    """Two operands, and the indices of the stack, rows and columns of their product."""

    stack: Axes
    rows: Axes
    columns: Axes
    left: Expr
    right: Expr


def write(draft: Draft, group: Sequence[Part]) -> Written:
    """Return the kernel of a group that begins with a sum, in the shape that asks for."""
    head = group[0]
    assert isinstance(head, Total)
    groups = matrices(head, draft.moving(head.out.indices))
    return _product(draft, group, groups) if groups else _reduction(draft, group)


def operation(part: Total) -> tuple[str, str, str]:
    """Return what brings values together, the type of its result, and what a kernel calls it."""
    return _OPS[part.op]


# ---- reductions ----------------------------------------------------------------------------------


def _reduction(draft: Draft, group: Sequence[Part]) -> Written:
    head = group[0]
    assert isinstance(head, Total)
    space, over = draft.moving(head.out.indices), head.term.over
    op, kind, word = operation(head)
    method = _way(head, space)
    i, j = draft.flatten(space, "i"), draft.flatten(over, "j")
    entry, addend = f"int {i}" if space else "int", f"int {j}"
    value = within(
        draft, [(i, space), (j, over)], lambda: [f"return {draft.bare(head.term.body)};"]
    )
    total = draft.names.of(("total",), word)
    lines = within(draft, [(i, space)], lambda: placed(draft, group, stored(draft, group, total)))
    lambdas = [
        in_lambda(f"{entry}, {addend}", value),
        in_lambda(f"{entry}, {kind} {total}", lines),
    ]
    sizes = [size(draft, space), size(draft, over)]
    return Written(call(f"{method}<{op}>", sizes, lambdas), method, (count(space),))


def _way(head: Total, space: Axes) -> str:
    """Return who takes a sum: a thread, a warp, a block, or a block for 32 neighbouring sums."""
    length = _known(head.term.over)
    is_row = _last(head.term.body) in head.term.over or not space
    if length is not None and length <= (_SHORT // 4 if is_row else _SHORT):
        return "by_thread"
    if not space:
        return "by_block"
    if not is_row:
        return "by_columns"
    return "by_warp" if length is not None and length <= _WARP else "by_block"


# ---- products ------------------------------------------------------------------------------------


def matrices(head: Total, space: Axes) -> Matrices | None:
    """Return the operands of a sum and their indices; None if it is no product of matrices."""
    if len(head.factors) != 2:
        return None
    left, right = head.factors
    if space and space[-1] in indices_of(left) and space[-1] not in indices_of(right):
        left, right = right, left
    own = [(i, i in indices_of(left), i in indices_of(right)) for i in space]
    stack = tuple(i for i, a, b in own if a and b)
    rows = tuple(i for i, a, b in own if a and not b)
    columns = tuple(i for i, a, b in own if b and not a)
    if not rows or not columns or len(stack) + len(rows) + len(columns) < len(space):
        return None
    return Matrices(stack, rows, columns, left, right)


def _product(draft: Draft, group: Sequence[Part], of: Matrices) -> Written:
    head = group[0]
    assert isinstance(head, Total)
    stack, rows, columns, over = of.stack, of.rows, of.columns, head.term.over
    s, r = draft.flatten(stack, "s"), draft.flatten(rows, "r")
    c, k = draft.flatten(columns, "c"), draft.flatten(over, "k")
    left, right = of.left, of.right
    at = f"int {s}" if stack else "int"
    a = within(draft, [(s, stack), (r, rows), (k, over)], lambda: [f"return {draft.bare(left)};"])
    b = within(
        draft,
        [(s, stack), (k, over), (c, columns)],
        lambda: [f"return {draft.bare(right)};"],
    )
    total = draft.names.of(("total",), "sum")
    scaled = total if head.scale == 1 else f"{draft.value(head.scale)} * {total}"
    lines = within(
        draft,
        [(s, stack), (r, rows), (c, columns)],
        lambda: placed(draft, group, stored(draft, group, scaled)),
    )
    lambdas = [
        in_lambda(f"{at}, int {r}, int {k}", a),
        in_lambda(f"{at}, int {k}, int {c}", b),
        in_lambda(f"{at}, int {r}, int {c}, real {total}", lines),
    ]
    micro = _micro(stack, rows, columns)
    layouts = layout(left, over), layout(right, columns)
    sizes = [size(draft, stack), size(draft, rows), size(draft, columns), size(draft, over)]
    text = call(f"product<{micro}, {', '.join(layouts)}>", sizes, lambdas)
    return Written(text, "product", (str(16 * micro), count(stack), count(rows), count(columns)))


def layout(operand: Expr, second: Axes) -> str:
    """Return whether memory runs along the second indices of an operand, or along the first."""
    return "by_row" if _last(operand) in second else "by_column"


def _micro(stack: Axes, rows: Axes, columns: Axes) -> int:
    """Return how many rows and columns of a tile each of 16×16 threads computes.

    More of them read less memory; but tiles should be many, for a GPU has a hundred processors.
    """
    sizes = [_known(rows), _known(columns)]
    narrow = min(size or _UNKNOWN for size in sizes)
    for micro, least in ((4, _WIDE), (2, _MIDDLE)):
        tiles = math.prod(-(-size // (16 * micro)) for size in sizes if size)
        is_free = None in (*sizes, _known(stack))
        if narrow >= least and (is_free or tiles * (_known(stack) or 1) >= _TILES):
            return micro
    return 1


# ---- the pieces of a kernel ----------------------------------------------------------------------


def stored(draft: Draft, group: Sequence[Part], total: str) -> list[str]:
    """Return the lines that store a sum, and what is computed from it entry by entry."""
    head, *others = group
    assert isinstance(head, Total)
    sign = "+=" if head.accumulate else "="
    first = f"{draft.written(head.out)} {sign} {added(draft, head, total)};"
    return [first, *(line for part in others for line in stores(draft, part))]


def added(draft: Draft, head: Total, total: str) -> str:
    """Return a sum with what else its equation adds to it."""
    if head.plain == 0:
        return total
    text = draft.value(head.plain)
    return f"{total} - {text[1:]}" if _is_difference(head.plain, text) else f"{total} + {text}"


def placed(draft: Draft, group: Sequence[Part], lines: list[str]) -> list[str]:
    """Name the place of the entries that are stored, if it is a formula that stands often."""
    place = draft.place(group[0].out)
    if " " not in place or sum(line.count(f"[{place}]") for line in lines) < 3:
        return lines
    name = draft.names.of(("place",), "at")
    return [f"const int {name} = {place};", *(x.replace(f"[{place}]", f"[{name}]") for x in lines)]


def _is_difference(plain: Expr, text: str) -> bool:
    return text.startswith("-") and not isinstance(plain, sympy.Add)


def stores(draft: Draft, part: Part) -> list[str]:
    """Return the line that stores an entry of a map."""
    assert not isinstance(part, Total)
    value = draft.bare(part.body)
    sign = "+=" if part.accumulate else "="
    return [f"{draft.written(part.out)} {sign} {value};"]


def within(
    draft: Draft, variables: Sequence[tuple[str, Axes]], formula: Callable[[], list[str]]
) -> list[str]:
    """Return lines with the indices they use taken out of the variables that count them."""
    draft.used.clear()
    lines = formula()
    return [line for name, axes in variables for line in draft.decode(name, axes)] + lines


def in_lambda(parameters: str, lines: Sequence[str], before: str = "") -> list[str]:
    """Return lines as a lambda, in one line if it is short with what stands `before` it."""
    if len(lines) == 1 and len(before) + len(parameters) + len(lines[0]) < _ROOM:
        return [f"[=]({parameters}) {{ {lines[0]} }}"]
    return [f"[=]({parameters}) {{", *(f"    {line}" for line in lines), "}"]


def call(
    name: str, sizes: Sequence[str], lambdas: Sequence[list[str]], more: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return a call on lines of its own; a single lambda begins on the line of the name.

    `more` stands behind it.
    """
    close = "".join([*(f", {name}" for name in more), ");"])
    if len(lambdas) == 1:
        (only,) = lambdas
        first, *rest = [f"{name}({', '.join([*sizes, only[0]])}", *only[1:]]
        return (first, *rest[:-1], f"{rest[-1]}{close}") if rest else (f"{first}{close}",)
    lines = [f"{name}({', '.join(sizes)},"]
    for place, text in enumerate(lambdas):
        end = close if place == len(lambdas) - 1 else ","
        lines += [f"    {line}" for line in text[:-1]] + [f"    {text[-1]}{end}"]
    return tuple(lines)


def size(draft: Draft, axes: Axes) -> str:
    """Return how many entries there are over `axes`, in C++."""
    return " * ".join(draft.size(i.extent) for i in axes) or "1"


def _known(axes: Axes) -> int | None:
    """Return how many entries there are over `axes`; None if an extent is free."""
    sizes = [i.extent.value for i in axes]
    return None if None in sizes else math.prod(size for size in sizes if size is not None)


def _last(body: Expr) -> Index | None:
    """Return the index along which the widest entry of a formula lies in memory."""
    read = max(accesses(body), key=lambda a: len(a.indices), default=None)
    if read is None or not read.indices:
        return None
    found = sorted(indices_of(read.indices[-1]), key=str)
    return found[-1] if found else None

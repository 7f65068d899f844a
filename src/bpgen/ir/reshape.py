"""Tensors seen under other indices: whether the entries lie as the new indices ask."""

from __future__ import annotations

from sympy import Expr

from bpgen.ir.expr import Access, Digit
from bpgen.ir.index import Extent, Index
from bpgen.ir.program import View


def is_rebound(view: View) -> bool:
    """Whether a view is another array in every call, and no buffer."""
    return split_axes(view.read, view.out.indices) is None


def split_axes(
    entry: Access, axes: tuple[Index, ...]
) -> tuple[tuple[Index, ...], tuple[Index, ...]] | None:
    """Return the axes that a join is made of, in its order and in that of the tensor it reads.

    None if the tensor can be seen as the join: the digits of an index stand side by side in it.
    """
    digits = any(isinstance(at, Digit) for at in entry.indices)
    order = [at.index if isinstance(at, Digit) else at for at in entry.indices]
    return parts_of(entry, axes) if digits and not _in_runs(entry, order) else None


def parts_of(entry: Access, axes: tuple[Index, ...]) -> tuple[tuple[Index, ...], tuple[Index, ...]]:
    """Return the axes that a join is made of, in its order and in that of the tensor it reads."""
    digits = {at for at in entry.indices if isinstance(at, Digit)}
    names = {
        at: Index(f"{at.index}_{k}", _extent(at.extent))
        for k, at in enumerate(sorted(digits, key=str))
    }
    source = tuple(names.get(at, at) for at in entry.indices)
    joined: list[Index] = []
    for axis in axes:
        own = [d for d in digits if d.index == axis]
        own.sort(key=lambda d: -int(known(d.stride)))
        joined += [names[d] for d in own] or [axis]
    return tuple(joined), source


def _in_runs(entry: Access, order: list[Expr]) -> bool:
    """Whether the digits of each index follow each other, the widest first."""
    runs = [i for k, i in enumerate(order) if k == 0 or order[k - 1] != i]
    strides: dict[Expr, list[int]] = {}
    for at in entry.indices:
        if isinstance(at, Digit):
            strides.setdefault(at.index, []).append(int(known(at.stride)))
    falling = all(s == sorted(s, reverse=True) for s in strides.values())
    return len(set(runs)) == len(runs) and falling


def is_part(at: Expr, axis: Index) -> bool:
    """Whether `at` is an index that visits the first entries of an axis only."""
    return isinstance(at, Index) and at.extent.value != axis.extent.value


def _extent(radix: Expr) -> Extent:
    return radix if isinstance(radix, Extent) else Extent(str(radix), int(known(radix)))


def known(extents: Expr) -> Expr:
    """Return a formula of extents with their values, where they have one."""
    return extents.xreplace({e: e.value or e for e in extents.free_symbols})

"""Sums of what an address sends to a row, such as the gradient of an embedding.

`out[v,h] = Σ_n δ(v,at[n]) f[n,h]` is a product of matrices one of which is nearly all zeros. Where
there are many rows, each looks through the addresses for its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy
from sympy import Expr

from bpgen.ir.equation import Op
from bpgen.ir.expr import Access, Delta, indices_of
from bpgen.ir.index import Index
from bpgen.targets.cupy.fusion import Part, Total
from bpgen.targets.cupy.kernel import Draft, count
from bpgen.targets.cupy.shapes import Axes, Written, call, in_lambda, placed, size, stored, within

# With fewer rows each has so much to add that tiles of the product are done before.
_MANY = 128
_PART = 128  # columns that a warp adds up


@dataclass(frozen=True, slots=True)
class Matches:
    """The index of the rows, the address of one, those of the columns, and what is added."""

    row: Index
    at: Access
    columns: Axes
    value: Expr


def matches_of(head: Part, space: Axes) -> Matches | None:
    """Return what each row gathers; None for another sum, or one with few rows."""
    if not isinstance(head, Total) or head.op is not Op.SUM:
        return None
    factors = sympy.Mul.make_args(head.term.body)
    for delta in (f for f in factors if isinstance(f, Delta)):
        row, at = delta.args
        value = sympy.Mul(*(f for f in factors if f != delta))
        columns = tuple(i for i in space if i != row)
        is_many = isinstance(row, Index) and (row.extent.value or 0) >= _MANY
        is_address = isinstance(at, Access) and not indices_of(at) & set(space)
        if row in space and columns and is_many and is_address and row not in indices_of(value):
            return Matches(row, at, columns, value)
    return None


def write_matches(draft: Draft, group: Sequence[Part], of: Matches) -> Written:
    """Return the kernel in which each row looks for what is its own."""
    head = group[0]
    assert isinstance(head, Total)
    over = head.term.over
    r, c, j = (
        draft.flatten((of.row,), "r"),
        draft.flatten(of.columns, "c"),
        draft.flatten(over, "j"),
    )
    total = draft.names.of(("total",), "sum")
    place = within(draft, [(j, over)], lambda: [f"return {draft.speller.address(of.at)};"])
    value = within(draft, [(j, over), (c, of.columns)], lambda: [f"return {draft.bare(of.value)};"])
    store = within(
        draft, [(c, of.columns)], lambda: placed(draft, group, stored(draft, group, total))
    )
    lambdas = [
        in_lambda(f"int {j}", place),
        in_lambda(f"int {j}, int {c}", value),
        in_lambda(f"int {r}, int {c}, real {total}", store),
    ]
    sizes = [size(draft, axes) for axes in ((of.row,), of.columns, over)]
    warps = f"{count((of.row,))} * -(-{count(of.columns)} // {_PART})"
    return Written(call("by_match", sizes, lambdas), "by_match", (warps,))

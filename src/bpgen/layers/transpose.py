"""The axes of a tensor in another order."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.errors import ShapeError


def transpose(x: bp.Tensor, *axes: int) -> bp.Tensor:
    """Bring the axes of `x` into another order; without `axes`, swap the last two.

    Formula:
        y[n,w,c,h] = x[n,c,h,w] for axes 0, 3, 1, 2

    Shapes: axis k of y is axis `axes[k]` of x; axis 0 is the batch.
    Errors: ShapeError if `axes` are not those of `x`, each once.
    """
    rank = len(x.indices)
    order = axes or (*range(rank - 2), rank - 1, rank - 2)
    if sorted(order, key=str) != sorted(range(rank), key=str) or rank < 2:
        raise ShapeError(
            f"transpose cannot bring the axes of `{x.label}` into this order",
            where=bp.here(),
            disagree=f"{x!r} has {rank} axes; the order is {order}",
            rule="Each axis is named once, from 0, the batch, on.",
            way_out=f"Give {', '.join(map(str, (0, *range(rank - 1, 0, -1))))}, for instance.",
        )
    return bp.define(bp.Auto("turned"), tuple(x.indices[k] for k in order), x[x.indices])

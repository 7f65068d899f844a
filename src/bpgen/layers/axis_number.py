"""Axes named by number, as numpy counts them."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.errors import ShapeError


def axis_at(x: bp.Tensor, layer: str, axis: int) -> int:
    """Return the place of an axis of `x` that is not the batch; negative ones count from the end.

    Errors: ShapeError if there is none.
    """
    rank = len(x.indices)
    place = axis + rank if isinstance(axis, int) and axis < 0 else axis
    whole = isinstance(axis, int) and not isinstance(axis, bool)
    if not whole or not 0 <= place < rank or x.indices[place].extent.value is None:
        raise ShapeError(
            f"{layer} has no axis {axis!r} of `{x.label}` to work on",
            where=bp.here(),
            disagree=f"{x!r} has {rank} axes; axis 0 is the batch, which is free",
            way_out=f"Give axis=-1 for the last one, or 1 … {rank - 1}."
            if rank > 1
            else "Declare the input with an extent: bp.input(…, 64).",
        )
    return place

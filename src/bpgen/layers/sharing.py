"""A weight that several layers share: the gradients of all uses add up."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.errors import ShapeError


def shared_weight(
    layer: str, weight: bp.Tensor, rows: int | None, columns: int | None
) -> tuple[bp.Index, ...]:
    """Return the indices of `weight`, a matrix of so many rows and columns.

    Errors: ShapeError if it is none, or of another size.
    """
    if not isinstance(weight, bp.Tensor) or weight.tensor.shape != (rows, columns):
        given = f"{weight!r}"
        if isinstance(weight, bp.Tensor):
            sizes = (f"{i.extent} = {i.extent.value or 'batch'}" for i in weight.indices)
            given = " with ".join([given, " and ".join(sizes)])
        raise ShapeError(
            f"{layer} cannot use the weight it is given",
            where=bp.here(),
            disagree=f"it needs {rows} rows and {columns} columns; given is {given}",
            rule="A shared weight is used as it is, entry by entry.",
            way_out="Give a matrix of that size, or change the number of units or features; "
            "linear(…, transposed=True) reads W[h,d].",
        )
    return weight.indices

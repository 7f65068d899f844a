"""Tensors side by side along an axis."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.errors import ShapeError
from bpgen.layers.axis_number import axis_at
from bpgen.losses.pairing import described


def concatenate(*tensors: bp.Tensor, axis: int = 1) -> bp.Tensor:
    """Put tensors side by side along an axis.

    Formula:
        y[n,d] = a[n,d] + b[n, d - D_a], where a and b are 0 outside their axes

    Shapes: a[n,d], b[n,e], … -> y[n,f] with F = D + E + …; all other axes agree. `axis` counts as
    in numpy; 0 is the batch.
    Errors: ShapeError if other axes differ, there is no such axis, or no tensor.
    """
    if not tensors:
        raise ShapeError(
            "concatenate is given no tensor",
            where=bp.here(),
            way_out="Write concatenate(a, b).",
        )
    first = tensors[0]
    place = axis_at(first, "concatenate", axis)
    for other in tensors[1:]:
        _check_others(first, other, place)
    if len(tensors) == 1:
        return first
    lengths = [t.indices[place].extent.value or 0 for t in tensors]
    joined = bp.fresh_index(sum(lengths), "djk", *first.indices)
    to = (*first.indices[:place], joined, *first.indices[place + 1 :])
    parts = []
    for k, tensor in enumerate(tensors):
        at = (*to[:place], joined - sum(lengths[:k]), *to[place + 1 :])
        parts.append(bp.pad(tensor[at]))
    return bp.define(bp.Auto("joined"), to, sympy.Add(*parts))


def _check_others(first: bp.Tensor, other: bp.Tensor, place: int) -> None:
    def rest(tensor: bp.Tensor) -> list[int | None]:
        return [i.extent.value for k, i in enumerate(tensor.indices) if k != place]

    if len(first.indices) != len(other.indices) or rest(first) != rest(other):
        raise ShapeError(
            f"concatenate cannot join `{first.label}` and `{other.label}` along axis {place}",
            where=bp.here(),
            disagree=f"{described(first)}; {described(other)}",
            rule=f"All axes but axis {place} agree.",
            way_out="Bring them to the same extents first, or join them along another axis.",
        )

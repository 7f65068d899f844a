"""The bilinear map of two tensors."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.errors import ShapeError
from bpgen.layers.linear import last_axis
from bpgen.layers.naming import called
from bpgen.losses.pairing import described


def bilinear(
    x: bp.Tensor,
    other: bp.Tensor,
    units: int,
    *,
    name: str | None = None,
    bias: bool = True,
    init: bp.init.Rule | None = None,
) -> bp.Tensor:
    """Let each pair of features, one of `x` and one of `other`, speak for each unit.

    Formula:
        pair[…,e,h] = Σ_d x[…,d] W[d,e,h]
        z[…,h]      = Σ_e pair[…,e,h] other[…,e] + b[h]

    Shapes: x[…,d], other[…,e] -> z[…,h]; parameters `name_W[d,e,h]` (glorot of D E and H),
    `name_b[h]` = 0.
    Errors: ShapeError if one has no axis but the batch, or the others of their axes differ.
    Source: Tenenbaum & Freeman 2000, Separating style and content with bilinear models, eq. 1.
    """
    *outer, d = last_axis(x, "bilinear")
    *others, inner = last_axis(other, "bilinear")
    if [i.extent.value for i in outer] != [i.extent.value for i in others]:
        raise ShapeError(
            f"bilinear cannot join `{x.label}` and `{other.label}`",
            where=bp.here(),
            disagree=f"{described(x)}; {described(other)}",
            rule="All axes but the last agree.",
            way_out="Give both the same axes, but for their features.",
        )
    row = tuple(outer)
    e = bp.fresh_index(inner.extent.value or 0, "e", *x.indices)
    h = bp.fresh_index(units, "h", *x.indices, e)
    fans = {"fan_in": bp.size((d, e)), "fan_out": h.extent}
    W = bp.parameter(called(name, "W"), d, e, h, init=init or bp.init.glorot(), **fans)
    pair = bp.define(called(name, "pair"), (*row, e, h), bp.sum(x[x.indices] * W[d, e, h], over=d))
    z = bp.sum(pair[(*row, e, h)] * other[(*row, e)], over=e)
    if bias:
        z = z + bp.parameter(called(name, "b"), h, init=bp.init.zeros())[h]
    return bp.define(bp.Auto("z"), (*row, h), z)

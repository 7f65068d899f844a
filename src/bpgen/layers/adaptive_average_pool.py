"""The mean of each part of an image that is cut into a given number of parts."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.layers.spatial import PerAxis, per_axis, spatial_axes


def adaptive_average_pool(x: bp.Tensor, size: PerAxis) -> bp.Tensor:
    """Average windows as equal as whole numbers allow, so that `size` positions come out.

    Formula:
        inside[j,h] = 1 if H j < J (h + 1) and J h < H (j + 1), else 0
        share[j,h]  = inside[j,h] / Σ_h inside[j,h]
        y[n,c,j]    = Σ_h share[j,h] x[n,c,h], and so along each axis

    Window j begins at ⌊j H / J⌋ and ends before ⌈(j + 1) H / J⌉. Where J divides H, it is the mean
    of x[n, c, (H/J) j + u] over u.

    Shapes: x[n,c,h], x[n,c,h,w] or x[n,c,t,h,w] -> y, whose axes have `size` positions: one number,
    or one for each axis.
    Errors: ShapeError if `x` has other axes; OptionError if a size is not positive.
    Source: He, Zhang, Ren & Sun 2014, arXiv:1406.4729, section 2.3.
    """
    layer = "adaptive_average_pool"
    axes = spatial_axes(x, layer)
    for axis, length in zip(axes, per_axis(layer, "size", size, len(axes), least=1), strict=True):
        x = _along(x, axis, length)
    return x


def _along(x: bp.Tensor, axis: bp.Index, length: int) -> bp.Tensor:
    extent = axis.extent.value or 0
    if length == extent:
        return x
    j = bp.fresh_index(length, "jkm", *x.indices)
    to = tuple(j if i == axis else i for i in x.indices)
    if extent % length == 0:
        u = bp.fresh_index(extent // length, "u", *x.indices, j)
        at = tuple(u.extent * j + u if i == axis else i for i in x.indices)
        return bp.define(bp.Auto("pooled"), to, bp.mean(x[at], over=u))
    begun = bp.where(axis.extent * j < j.extent * (axis + 1), 1, 0)
    inside = bp.where(j.extent * axis < axis.extent * (j + 1), begun, 0)
    member = bp.define(bp.Auto("inside"), (j, axis), inside)
    count = bp.define(bp.Auto("count"), (j,), bp.sum(member[j, axis], over=axis))
    share = bp.define(bp.Auto("share"), (j, axis), member[j, axis] / count[j])
    return bp.define(bp.Auto("pooled"), to, bp.sum(share[j, axis] * x[x.indices], over=axis))

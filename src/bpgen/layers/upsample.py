"""Images enlarged by a whole factor."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.errors import OptionError
from bpgen.layers.spatial import PerAxis, per_axis, spatial_axes


def upsample(x: bp.Tensor, factor: PerAxis, *, mode: str = "nearest") -> bp.Tensor:
    """Enlarge each spatial axis: copy each entry `factor` times, or go linearly between entries.

    Formula:
        y[n, c, factor h + u, …] = x[n,c,h,…]
    or, if `mode` is "linear", with R the factor:
        apart[j,h] = 2 j + 1 - R - 2 R h, the distance of j from h in units of 1 / (2 R)
        share[j,h] = max(0, 1 - |apart[j,h]| / (2 R)), and 1 beyond the first and the last h
        y[n,c,j]   = Σ_h share[j,h] x[n,c,h], and so along each axis

    Shapes: x[n,c,h], x[n,c,h,w] or x[n,c,t,h,w] -> y with each of these axes `factor` times as
    long: one number, or one for each axis. `mode` is "nearest" or "linear" (bilinear for images).
    Errors: ShapeError if `x` has other axes; OptionError if `factor` is not positive, or `mode` is
    neither.
    """
    axes = spatial_axes(x, "upsample")
    factors = per_axis("upsample", "factor", factor, len(axes), least=1)
    if mode not in {"nearest", "linear"}:
        raise OptionError(
            "upsample has no such mode",
            where=bp.here(),
            disagree=f"mode={mode!r}",
            way_out='Give mode="nearest" or mode="linear".',
        )
    if mode == "linear":
        for axis, times in zip(axes, factors, strict=True):
            x = _linear(x, axis, times)
        return x
    at: list[bp.Formula] = list(x.indices[:2])
    taken = list(x.indices)
    for axis, times in zip(axes, factors, strict=True):
        if times == 1:
            at.append(axis)
            continue
        taken.append(bp.fresh_index(times, "uvs", *taken))
        at.append(times * axis + taken[-1])
    return bp.define(bp.Auto("up"), at, x[x.indices])


def _linear(x: bp.Tensor, axis: bp.Index, factor: int) -> bp.Tensor:
    if factor == 1:
        return x
    extent = axis.extent.value or 1
    j = bp.fresh_index(factor * extent, "jkm", *x.indices)
    width = 2 * factor
    apart = 2 * j + 1 - factor - width * axis
    after = bp.where(axis < extent - 1, sympy.Max(0, width - apart), width)
    before = bp.where(axis > 0, sympy.Max(0, width + apart), width)
    share = bp.define(bp.Auto("share"), (j, axis), bp.where(apart > 0, after, before) / width)
    to = tuple(j if i == axis else i for i in x.indices)
    return bp.define(bp.Auto("up"), to, bp.sum(share[j, axis] * x[x.indices], over=axis))

"""A border around the spatial axes."""

from __future__ import annotations

from typing import Any

from bpgen import declare as bp
from bpgen.errors import OptionError
from bpgen.layers.spatial import spatial_axes


def pad(x: bp.Tensor, width: Any, *, value: float = 0) -> bp.Tensor:
    """Put a border of `width` entries around the spatial axes.

    Formula:
        y[n,c,h,w] = x[n, c, h - width, w - width], and `value` where x has no such entry

    Shapes: x[n,c,h], x[n,c,h,w] or x[n,c,t,h,w] -> y, each spatial axis longer by its border.
    `width` is one number, or for each spatial axis a number or a pair: before and after.
    Errors: ShapeError if `x` has other axes; OptionError if a width is negative.
    """
    axes = spatial_axes(x, "pad")
    outside = bp.option("`value`", value)
    to: list[bp.Index] = list(x.indices[:2])
    at: list[bp.Formula] = list(x.indices[:2])
    for axis, (before, after) in zip(axes, _widths(width, len(axes)), strict=True):
        if before + after == 0:
            longer = axis
        else:
            length = (axis.extent.value or 0) + before + after
            longer = bp.fresh_index(length, "hwjk", *x.indices, *to)
        to.append(longer)
        at.append(longer - before)
    return bp.define(bp.Auto("padded"), to, bp.pad(x[tuple(at)], outside))


def _widths(width: Any, rank: int) -> list[tuple[int, int]]:
    sides = width if isinstance(width, tuple) else (width,) * rank
    pairs = [side if isinstance(side, tuple) else (side, side) for side in sides]
    whole = [isinstance(n, int) and not isinstance(n, bool) and n >= 0 for p in pairs for n in p]
    if len(pairs) != rank or not all(whole) or any(len(p) != 2 for p in pairs):
        raise OptionError(
            "`width` of pad is out of range",
            where=bp.here(),
            disagree=f"it is {width!r}; there are {rank} axes",
            rule="It is a number, or for each axis a number or a pair, none of them negative.",
            way_out=f"Give width=1, or width={((1, 1),) * rank}.",
        )
    return pairs

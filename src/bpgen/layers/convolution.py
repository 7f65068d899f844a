"""What convolutions share: the formula for any number of spatial axes, and channels in groups."""

from __future__ import annotations

from dataclasses import dataclass

from bpgen import declare as bp
from bpgen.layers.demands import part
from bpgen.layers.naming import called
from bpgen.layers.spatial import PerAxis, Sliding, entries, spatial_axes


@dataclass(frozen=True, slots=True)
class Channels:
    """An axis of channels in groups, `c = R g + r`: each group is a convolution of its own.

    `inner` is the axis r of the weights, read at `at`; `over` is what a sum over the channels of a
    group runs over; `whole` is how an axis of all channels is read.
    """

    inner: bp.Index
    at: bp.Formula
    over: tuple[bp.Index, ...]
    whole: bp.Formula

    @classmethod
    def of(cls, layer: str, axis: bp.Index, group: bp.Index | None, inner: str) -> Channels:
        """Split `axis` into as many groups as `group` has values; None leaves it whole.

        Errors: ShapeError if they do not divide it.
        """
        if group is None:
            return cls(axis, axis, (axis,), axis)
        width = part(layer, "groups", axis, group.extent.value or 1)
        r = bp.fresh_index(width, inner, axis, group)
        (at,), over = entries((r,))
        return cls(r, at, over, width * group + at)


def group_index(groups: int, axis: bp.Index, layer: str) -> bp.Index | None:
    """Return the index of `groups` groups of the channels `axis`; None if there is but one.

    Errors: ShapeError if they do not divide the axis.
    """
    part(layer, "groups", axis, groups)
    return None if groups == 1 else bp.fresh_index(groups, "g", axis)


def convolved(
    x: bp.Tensor,
    filters: int,
    rank: int,
    *,
    kernel: PerAxis,
    stride: PerAxis,
    padding: PerAxis,
    dilation: PerAxis,
    groups: int,
    bias: bool,
    name: str | None,
    init: bp.init.Rule | None,
) -> bp.Tensor:
    """Return the convolution of `x` along its `rank` spatial axes; `conv1d` … `conv3d` say more.

    Formula:
        z[n,f,h,…] = Σ_c Σ_u… x[n, c, stride h + dilation u - padding, …] W[f,c,u,…] + b[f]
    """
    layer = f"conv{rank}d"
    axes = spatial_axes(x, layer, rank)
    slide = Sliding.of(
        layer, axes, kernel=kernel, stride=stride, padding=padding, dilation=dilation
    )
    n, c = x.indices[:2]
    g = group_index(groups, c, layer)
    f = bp.fresh_index(filters, "f", *x.indices)
    to = Channels.of(layer, f, g, "q")
    of = Channels.of(layer, c, g, "r")
    taken = (*x.indices, f, to.inner, of.inner, *(() if g is None else (g,)))
    window = slide.window(*taken)
    positions = slide.positions(layer, *taken, *window)
    fans = {"fan_in": bp.size((of.inner, *window)), "fan_out": bp.size((f, *window))}
    W = bp.parameter(called(name, "W"), f, of.inner, *window, init=init, **fans)
    inside, over = entries(window)
    entry = bp.pad(x[(n, of.whole, *slide.read(positions, window))])
    z = bp.sum(entry * W[(to.whole, of.at, *inside)], over=(*of.over, *over))
    if bias:
        z = z + bp.parameter(called(name, "b"), f, init=bp.init.zeros())[to.whole]
    return bp.define(bp.Auto("z"), (n, to.whole, *positions), z)

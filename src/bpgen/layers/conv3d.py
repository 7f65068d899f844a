"""The convolution of volumes."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.layers.convolution import convolved
from bpgen.layers.spatial import PerAxis


def conv3d(
    x: bp.Tensor,
    filters: int,
    kernel: PerAxis,
    *,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    bias: bool = True,
    name: str | None = None,
    init: bp.init.Rule | None = None,
) -> bp.Tensor:
    """Slide filters through a volume of channels, or a film of images.

    Formula:
        z[n,f,t,h,w] = Σ_c Σ_u Σ_v Σ_s x[n, c, t′ + dilation u, h′ + dilation v, w′ + dilation s]
                       W[f,c,u,v,s] + b[f],
        t′ = stride t - padding, and h′ and w′ likewise,
        where x is 0 outside its axes

    With `groups` = G the channels are G convolutions side by side, each of C/G channels and of
    F/G filters; `groups` = C gives each channel filters of its own.

    Shapes: x[n,c,t,h,w] -> z[n,f,t,h,w], along each axis
    (extent + 2 padding - dilation (kernel - 1) - 1) // stride + 1 positions; parameters
    `name_W[f,c,u,v,s]` (he of C/G times the kernel), `name_b[f]` = 0. `kernel`, `stride`,
    `padding` and `dilation` are one number, or one for each axis.
    Errors: ShapeError if `x` has other axes, the kernel is larger than an axis with its padding,
    or `groups` does not divide C and F; OptionError if a number is out of range.
    Source: Ji, Xu, Yang & Yu 2013, 3D convolutional neural networks for human action recognition,
    eq. 2.
    """
    return convolved(
        x,
        filters,
        3,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
        name=name,
        init=init,
    )

"""The convolution of images."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.layers.convolution import convolved
from bpgen.layers.spatial import PerAxis


def conv2d(
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
    """Slide filters over an image of channels.

    Formula:
        z[n,f,h,w] = Σ_c Σ_u Σ_v x[n, c, h′ + dilation u, w′ + dilation v] W[f,c,u,v] + b[f],
        h′ = stride h - padding, w′ = stride w - padding,
        where x is 0 outside its axes

    With `groups` = G the channels are G convolutions side by side, each of C/G channels and of
    F/G filters; `groups` = C gives each channel filters of its own.

    Shapes: x[n,c,h,w] -> z[n,f,h,w], along each axis
    (extent + 2 padding - dilation (kernel - 1) - 1) // stride + 1 positions; parameters
    `name_W[f,c,u,v]` (he of C/G times the kernel), `name_b[f]` = 0. `kernel`, `stride`,
    `padding` and `dilation` are one number, or one for each axis.
    Errors: ShapeError if `x` has other axes, the kernel is larger than an axis with its padding,
    or `groups` does not divide C and F; OptionError if a number is out of range.
    Source: LeCun, Bottou, Bengio & Haffner 1998, Gradient-based learning applied to document
    recognition, section II.A; groups: Krizhevsky, Sutskever & Hinton 2012, section 3.2; dilation:
    Yu & Koltun 2016, arXiv:1511.07122, eq. 2.
    """
    return convolved(
        x,
        filters,
        2,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
        name=name,
        init=init,
    )

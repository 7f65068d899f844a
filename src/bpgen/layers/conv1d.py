"""The convolution along one axis."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.layers.convolution import convolved
from bpgen.layers.spatial import PerAxis


def conv1d(
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
    """Slide filters along a sequence of channels.

    Formula:
        z[n,f,h] = Σ_c Σ_u x[n, c, stride h + dilation u - padding] W[f,c,u] + b[f],
        where x is 0 outside its axes

    With `groups` = G the channels are G convolutions side by side, each of C/G channels and of
    F/G filters; `groups` = C gives each channel filters of its own.

    Shapes: x[n,c,h] -> z[n,f,h], along each axis
    (extent + 2 padding - dilation (kernel - 1) - 1) // stride + 1 positions; parameters
    `name_W[f,c,u]` (he of C/G times the kernel), `name_b[f]` = 0. `kernel`, `stride`,
    `padding` and `dilation` are one number, or one for each axis.
    Errors: ShapeError if `x` has other axes, the kernel is larger than an axis with its padding,
    or `groups` does not divide C and F; OptionError if a number is out of range.
    Source: Waibel, Hanazawa, Hinton, Shikano & Lang 1989, Phoneme recognition using time-delay
    neural networks, section II.
    """
    return convolved(
        x,
        filters,
        1,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias,
        name=name,
        init=init,
    )

"""The transposed convolution of images, by which they grow."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.layers.growth import grown, growths_of
from bpgen.layers.spatial import PerAxis, spatial_axes


def conv_transpose2d(
    x: bp.Tensor,
    filters: int,
    kernel: PerAxis,
    *,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    output_padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    bias: bool = True,
    name: str | None = None,
    init: bp.init.Rule | None = None,
) -> bp.Tensor:
    """Let each pixel paint the image of a filter, `stride` apart: a convolution read backwards.

    Formula:
        grown[n, f, stride j + q, stride k + m] =
            Σ_c Σ_u Σ_v x[n, c, j - u, k - v] W[c, f, stride u + q, stride v + m]
        z[n,f,h,w] = grown[n, f, h + padding, w + padding] + b[f],
        where x and W are 0 outside their axes

    q and m are the classes modulo the stride: each class is a convolution with a part of W. Along
    an axis with a `dilation` and no stride, x is read at j - dilation u; with both, a kernel with
    zeros in its gaps stands for W.

    Shapes: x[n,c,h,w] -> z[n,f,h,w], along each axis (extent - 1) stride - 2 padding
    + dilation (kernel - 1) + output_padding + 1 positions; parameters `name_W[c,f,u,v]`, input
    first, F / groups filters in the second axis (he of what a pixel sums over), `name_b[f]` = 0.
    Each keyword is one number, or one for each axis.
    Errors: ShapeError if `x` has other axes, `groups` does not divide C and F, or the padding
    leaves nothing; OptionError if a number is out of range, or `output_padding` is neither below
    the stride nor below the dilation.
    Source: Dumoulin & Visin 2016, arXiv:1603.07285, section 4; Zeiler, Krishnan, Taylor & Fergus
    2010, Deconvolutional networks, eq. 1.
    """
    axes = spatial_axes(x, "conv_transpose2d", 2)
    growths = growths_of(axes, kernel, stride, padding, output_padding, dilation)
    return grown(x, filters, growths, groups=groups, bias=bias, name=name, init=init)

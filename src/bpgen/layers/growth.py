"""How images grow: the formula of a transposed convolution, by classes modulo the stride."""

from __future__ import annotations

from dataclasses import dataclass

import sympy

from bpgen import declare as bp
from bpgen.errors import OptionError, ShapeError
from bpgen.layers.convolution import Channels, group_index
from bpgen.layers.naming import called
from bpgen.layers.spatial import PerAxis, entries, per_axis

_LAYER = "conv_transpose2d"


def grown(
    x: bp.Tensor,
    filters: int,
    growths: tuple[Growth, ...],
    *,
    groups: int,
    bias: bool,
    name: str | None,
    init: bp.init.Rule | None,
) -> bp.Tensor:
    """Return the transposed convolution of `x`; `conv_transpose2d` says more.

    Formula:
        classes[n,f,q,m,j,k] = Σ_c Σ_u Σ_v x[n, c, j - u, k - v] W[c, f, s u + q, s v + m]
        grown[n, f, s j + q, s k + m] = classes[n,f,q,m,j,k]
        z[n,f,h,w] = grown[n, f, h + padding, w + padding] + b[f],  s the stride
    """
    n, c = x.indices[:2]
    g = group_index(groups, c, _LAYER)
    f = bp.fresh_index(filters, "f", *x.indices)
    to, of = Channels.of(_LAYER, f, g, "q"), Channels.of(_LAYER, c, g, "r")
    taken = [*x.indices, f, to.inner, of.inner, *([] if g is None else [g])]
    W = _kernel(growths, (c, to.inner), of.inner, taken, name=called(name, "W"), init=init)
    parts = [k.classes(u, taken) for k, u in zip(growths, ("jqu", "kmv"), strict=True)]
    pixel = bp.pad(x[(n, of.whole, *(p.pixel for p in parts))])
    painted = bp.pad(W[(of.whole, to.at, *(p.kernel for p in parts))]) * pixel
    over = (*of.over, *(i for p in parts for i in p.over))
    z = bp.sum(painted, over=over) if over else painted
    b = bp.parameter(called(name, "b"), f, init=bp.init.zeros())[f] if bias else 0
    # Positions last: all classes are then one product of matrices.
    inner = [p.inner for p in parts if p.inner is not None]
    whole = bp.define(bp.Auto("classes"), (n, to.whole, *inner, *(p.outer for p in parts)), z)
    classes = whole[(n, f, *whole.indices[2:])]
    to_all = (n, f, *(p.to for p in parts))
    if all(growth.is_exact for growth in growths):
        return bp.define(bp.Auto("z"), to_all, classes + b)
    whole = bp.define(bp.Auto("grown"), to_all, classes)
    at = [k.positions(u, taken) for k, u in zip(growths, "hw", strict=True)]
    cut = bp.pad(whole[(n, f, *(i + k.cut for i, k in zip(at, growths, strict=True)))])
    return bp.define(bp.Auto("z"), (n, f, *at), cut + b)


@dataclass(frozen=True, slots=True)
class Classes:
    """Where the result is written along an axis, and where pixel and kernel are read."""

    outer: bp.Index
    inner: bp.Index | None
    to: bp.Formula
    pixel: bp.Formula
    kernel: bp.Formula
    over: tuple[bp.Index, ...]


@dataclass(frozen=True, slots=True)
class Growth:
    """How one axis grows, to `length` positions."""

    axis: bp.Index
    kernel: int
    stride: int
    padding: int
    dilation: int
    length: int

    @property
    def has_gaps(self) -> bool:
        """Whether a kernel with zeros stands for the kernel: stride and gaps do not go together."""
        return self.stride > 1 and self.dilation > 1 and self.kernel > 1

    @property
    def span(self) -> int:
        """Return the entries of the kernel that stands for the kernel."""
        return self.dilation * (self.kernel - 1) + 1 if self.has_gaps else self.kernel

    @property
    def cut(self) -> int:
        """Return how many positions of the first class round are within the padding."""
        return self.padding % self.stride

    @property
    def rounds(self) -> int:
        """Return how often the classes are run through."""
        return -(-(self.length + self.cut) // self.stride)

    @property
    def is_exact(self) -> bool:
        """Whether the classes make no position too many."""
        return self.cut == 0 and self.rounds * self.stride == self.length

    def classes(self, letters: str, taken: list[bp.Index]) -> Classes:
        """Return where the axis is written and read, by indices that `taken` has not."""

        def fresh(extent: int, letter: str) -> bp.Index:
            taken.append(bp.fresh_index(extent, letter, *taken))
            return taken[-1]

        j = (
            self.positions(letters[0], taken)
            if self.stride == 1
            else fresh(self.rounds, letters[0])
        )
        u = fresh(-(-self.span // self.stride), letters[2])
        (back,), over = entries((u,))
        pixel = j - self.dilation * back if self.stride == 1 else j - back
        if self.stride == 1:
            return Classes(j, None, j, pixel + self.padding, back, over)
        q = fresh(self.stride, letters[1])
        first = self.padding // self.stride
        return Classes(j, q, self.stride * j + q, pixel + first, self.stride * back + q, over)

    def positions(self, letter: str, taken: list[bp.Index]) -> bp.Index:
        """Return the index of the result; if it is as long as its axis, the index of that."""
        if self.length == self.axis.extent.value:
            return self.axis
        taken.append(bp.fresh_index(self.length, letter, *taken))
        return taken[-1]


def growths_of(axes: tuple[bp.Index, ...], *given: PerAxis) -> tuple[Growth, ...]:
    """Check kernel, stride, padding, output padding and dilation, and return them by axis."""
    names = ("kernel", "stride", "padding", "output_padding", "dilation")
    values = [
        per_axis(_LAYER, name, value, len(axes), least=0 if "padding" in name else 1)
        for name, value in zip(names, given, strict=True)
    ]
    found = []
    for axis, kernel, stride, padding, more, dilation in zip(axes, *values, strict=True):
        _check_output_padding(more, stride, dilation)
        extent = axis.extent.value or 0
        length = (extent - 1) * stride - 2 * padding + dilation * (kernel - 1) + more + 1
        if length < 1:
            raise ShapeError(
                f"nothing of axis `{axis}` is left in {_LAYER}",
                where=bp.here(),
                disagree=f"it grows to {length + 2 * padding} positions; padding={padding} takes "
                f"{2 * padding} of them",
                way_out=f"Give padding={(length + 2 * padding - 1) // 2} or less.",
            )
        found.append(Growth(axis, kernel, stride, padding, dilation, length))
    return tuple(found)


def _check_output_padding(more: int, stride: int, dilation: int) -> None:
    if more >= max(stride, dilation):
        raise OptionError(
            f"`output_padding` of {_LAYER} is out of range",
            where=bp.here(),
            disagree=f"it is {more}; stride={stride}, dilation={dilation}",
            rule="It tells apart the sizes that one stride shrinks to the same, so it is smaller.",
            way_out=f"Give output_padding={max(stride, dilation) - 1} or less.",
        )


def _kernel(
    growths: tuple[Growth, ...],
    channels: tuple[bp.Index, bp.Index],
    of: bp.Index,
    taken: list[bp.Index],
    *,
    name: str | bp.Auto,
    init: bp.init.Rule | None,
) -> bp.Tensor:
    """Declare the kernel, of axes `channels` and the window; return it, with its gaps as zeros."""
    window: list[bp.Index] = []
    for growth, letter in zip(growths, "uv", strict=True):
        window.append(bp.fresh_index(growth.kernel, letter, *taken, *window))
    area = bp.size(tuple(window)) / sympy.Integer(growths[0].stride * growths[1].stride)
    fans = {"fan_in": of.extent * area, "fan_out": channels[1].extent * area}
    W = bp.parameter(name, *channels, *window, init=init, **fans)
    for place, growth in enumerate(growths, start=2):
        if growth.has_gaps:
            u = W.indices[place]
            gap = bp.fresh_index(growth.dilation, "e", *taken, *W.indices)
            axes = (growth.dilation * u + gap if i == u else i for i in W.indices)
            entry = bp.where(sympy.Eq(gap, 0), W[W.indices], 0)
            W = bp.define(bp.Auto("spread"), axes, entry)
    return W

"""Windows that slide along the spatial axes of a tensor, and where each of them reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from bpgen import declare as bp
from bpgen.errors import OptionError, ShapeError

PerAxis = int | tuple[int, ...]

_LETTERS = ("hj", "wk", "qm")
_WINDOW = "uvs"


def spatial_axes(x: bp.Tensor, layer: str, rank: int | None = None) -> tuple[bp.Index, ...]:
    """Return the axes after batch and channels: one, two or three of them, or exactly `rank`.

    Errors: ShapeError.
    """
    axes = x.indices[2:]
    wanted = (1, 2, 3) if rank is None else (rank,)
    if len(axes) not in wanted or any(i.extent.value is None for i in x.indices[1:]):
        example = {1: "x[n,c,h]", 2: "x[n,c,h,w]", 3: "x[n,c,t,h,w]"}
        shown = example[rank or 1] + ("" if rank else ", x[n,c,h,w] or x[n,c,t,h,w]")
        extents = ", ".join(["…"] * (max(wanted) if rank else 2))
        raise ShapeError(
            f"{layer} needs the axes of {shown}",
            where=bp.here(),
            disagree=f"it is given {x!r}",
            way_out=f"Declare the input with channels first, bp.input(…, channels, {extents}), "
            "or reshape it.",
        )
    return axes


def per_axis(layer: str, what: str, value: Any, rank: int, *, least: int) -> tuple[int, ...]:
    """Return `value`, one number for all axes or one for each, as one for each.

    Errors: OptionError if there are not as many, or one is no integer from `least` on.
    """
    values = value if isinstance(value, tuple) else (value,) * rank
    fits = [isinstance(v, int) and not isinstance(v, bool) and v >= least for v in values]
    if len(values) != rank or not all(fits):
        raise OptionError(
            f"`{what}` of {layer} is out of range",
            where=bp.here(),
            disagree=f"it is {value!r}; there are {rank} axes, and {least} is the least",
            rule="It is one integer for all axes, or a tuple with one for each.",
            way_out=f"Give {what}={max(least, 1)}, or {what}={(max(least, 1),) * rank}.",
        )
    return values


def entries(indices: tuple[bp.Index, ...]) -> tuple[tuple[bp.Formula, ...], tuple[bp.Index, ...]]:
    """Return how axes are read that a sum runs over, and the indices of the sum.

    An axis with one entry is read there, and takes no part in the sum.
    """
    over = tuple(i for i in indices if i.extent.value != 1)
    return tuple(i if i in over else sympy.S.Zero for i in indices), over


@dataclass(frozen=True, slots=True)
class Sliding:
    """A window with gaps of `dilation` that moves by `stride`, from `padding` before an axis on."""

    axes: tuple[bp.Index, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    @classmethod
    def of(
        cls,
        layer: str,
        axes: tuple[bp.Index, ...],
        *,
        kernel: PerAxis,
        stride: PerAxis | None = None,
        padding: PerAxis = 0,
        dilation: PerAxis = 1,
    ) -> Sliding:
        """Check what a layer is given; a stride that is not given is the kernel.

        Errors: OptionError.
        """
        rank = len(axes)
        return cls(
            axes,
            per_axis(layer, "kernel", kernel, rank, least=1),
            per_axis(layer, "stride", kernel if stride is None else stride, rank, least=1),
            per_axis(layer, "padding", padding, rank, least=0),
            per_axis(layer, "dilation", dilation, rank, least=1),
        )

    @property
    def spans(self) -> tuple[int, ...]:
        """Return from the first to the last entry of the window: `dilation (kernel - 1) + 1`."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    def positions(self, layer: str, *avoid: bp.Index) -> tuple[bp.Index, ...]:
        """Return the indices of the result; one that has the extent of its axis is that axis.

        Errors: ShapeError if the window is larger than an axis with its padding.
        """
        found: list[bp.Index] = []
        letters = _LETTERS if len(self.axes) < 3 else (*_LETTERS[2:], *_LETTERS[:2])
        for k, axis in enumerate(self.axes):
            room = (axis.extent.value or 0) + 2 * self.padding[k] - self.spans[k]
            if room < 0:
                self._refuse(layer, axis, k)
            length = room // self.stride[k] + 1
            if length == axis.extent.value:
                found.append(axis)
            else:
                found.append(bp.fresh_index(length, letters[k], *avoid, *self.axes, *found))
        return tuple(found)

    def window(self, *avoid: bp.Index) -> tuple[bp.Index, ...]:
        """Return the indices inside the window."""
        found: list[bp.Index] = []
        for k, letter in zip(self.kernel, _WINDOW, strict=False):
            found.append(bp.fresh_index(k, letter, *avoid, *found))
        return tuple(found)

    def read(
        self, positions: tuple[bp.Index, ...], window: tuple[bp.Index, ...]
    ) -> tuple[bp.Formula, ...]:
        """Return where the window reads each axis: `stride h + dilation u - padding`."""
        inside, _ = entries(window)
        parts = zip(positions, inside, self.stride, self.dilation, self.padding, strict=True)
        return tuple(s * h + d * u - p for h, u, s, d, p in parts)

    def check_inside(self, layer: str) -> None:
        """Refuse a padding so wide that a window could lie outside the tensor.

        Errors: ShapeError.
        """
        for axis, span, padding in zip(self.axes, self.spans, self.padding, strict=True):
            if 2 * padding > span:
                raise ShapeError(
                    f"{layer} cannot pad axis `{axis}` by {padding}",
                    where=bp.here(),
                    disagree=f"the window spans {span} entries; padding={padding}",
                    rule="The padding is at most half of the window.",
                    way_out=f"Give padding={span // 2} or less, or a larger kernel.",
                )

    def _refuse(self, layer: str, axis: bp.Index, k: int) -> None:
        extent, padding, span = axis.extent.value, self.padding[k], self.spans[k]
        gap = f", {self.dilation[k]} apart" if self.dilation[k] > 1 else ""
        raise ShapeError(
            f"the kernel of {layer} is larger than axis `{axis}`",
            where=bp.here(),
            disagree=f"{self.kernel[k]} entries{gap} span {span}; {axis.extent} = {extent} with "
            f"padding {padding} on both sides is {(extent or 0) + 2 * padding}",
            rule="A window lies inside the padded axis.",
            way_out=f"Take a smaller kernel, or padding={-(-(span - (extent or 0)) // 2)}.",
        )

"""What a layer asks of the axes of its input."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.errors import ShapeError


def needed_axes(x: bp.Tensor, layer: str, example: str) -> tuple[bp.Index, ...]:
    """Return the indices of `x`, which has at least the axes that `example` shows: `x[n,t,d]`.

    Errors: ShapeError if there are fewer.
    """
    least = example.count(",") + 1
    if len(x.indices) < least or any(i.extent.value is None for i in x.indices[1:]):
        raise ShapeError(
            f"{layer} needs the axes of {example}",
            where=bp.here(),
            disagree=f"it is given {x!r}",
            way_out=f"Declare the input with {least - 1} extents besides the batch.",
        )
    return x.indices


def part(layer: str, what: str, axis: bp.Index, parts: int) -> int:
    """Return the extent of `axis` divided by `parts`, the number of `what` it is split into.

    Errors: ShapeError if it does not divide the extent.
    """
    extent = axis.extent.value or 0
    fits = [k for k in range(1, extent + 1) if extent % k == 0]
    if parts not in fits:
        near = min(fits, key=lambda k: abs(k - parts) if isinstance(parts, int) else k)
        raise ShapeError(
            f"{layer} cannot split axis `{axis}` evenly",
            where=bp.here(),
            disagree=f"{axis.extent} = {extent}; {what} = {parts!r}",
            rule=f"Each of the {what} takes equally many entries of the axis.",
            way_out=f"Take {what}={near}, or another divisor of {extent}.",
        )
    return extent // parts

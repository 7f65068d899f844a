"""An axis turned around: what leaves at its end comes in at its beginning."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.errors import OptionError
from bpgen.layers.axis_number import axis_at


def roll(x: bp.Tensor, shift: int, axis: int = -1) -> bp.Tensor:
    """Move the entries along an axis, around its end.

    Formula:
        y[…,h] = x[…, h - shift] + x[…, h - shift + H], where x is 0 outside its axes

    Shapes: y has the axes of x. `axis` counts as in numpy; 0 is the batch.
    Errors: ShapeError if there is no such axis; OptionError if `shift` is no integer.
    """
    place = axis_at(x, "roll", axis)
    if not isinstance(shift, int) or isinstance(shift, bool):
        raise OptionError(
            "`shift` of roll is no integer",
            where=bp.here(),
            disagree=f"it is {shift!r}",
            way_out="Give the number of places.",
        )
    h = x.indices[place]
    length = h.extent.value or 1
    moved = shift % length
    if moved == 0:
        return x
    before, after = x.indices[:place], x.indices[place + 1 :]
    end = bp.pad(x[(*before, h - moved, *after)])
    begin = bp.pad(x[(*before, h - moved + length, *after)])
    return bp.define(bp.Auto("rolled"), x.indices, end + begin)

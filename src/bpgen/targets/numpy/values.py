"""Arrays as code names them, and how they are brought to a common set of axes without a copy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bpgen.targets.numpy.scratch import Axes, Register

# What a subscript holds before the last axis that it picks one entry of.
_PICKED = re.compile(r"\[[^]]*:(?=, [^:\]]+(, :)*\])")


@dataclass(frozen=True, slots=True)
class Value:
    """An array expression, its axes in order, and the register it lives in, if any.

    `strided` says that its entries do not lie side by side in memory, so that no `reshape` of it is
    a view. `source` is the array of which this one is a transposed view.
    """

    text: str
    axes: Axes
    register: Register | None = None
    strided: bool = False
    source: tuple[str, Axes] | None = None

    def along(self, axes: Axes) -> str:
        """Return the text of this array, broadcast over `axes`: `a.s[:, None]`."""
        missing = [i not in self.axes for i in axes]
        while missing and missing[0]:
            missing.pop(0)
        if not any(missing):
            return self.text
        return f"{self.text}[{', '.join('None' if gone else ':' for gone in missing)}]"


def subscript(picked: Sequence[str | None]) -> str:
    """Return `:, t` for [None, "t", None]; an array of one entry stays an array by `...`."""
    parts = [":" if pick is None else pick for pick in picked]
    while parts[-1] == ":":
        parts.pop()
    return ", ".join(parts if None in picked else [*parts, "..."])


def is_dense(text: str) -> bool:
    """Whether an array lies in memory without gaps, in the order of its axes, as its text shows."""
    return not text.endswith((".T", ")")) and not outer_axes(text)


def outer_axes(text: str) -> int:
    """Return how many axes lie outside one that a slice has picked: `a.z[:, t]` has one."""
    found = _PICKED.search(text)
    return found[0].count(":") if found else 0


def in_order(value: Value, axes: Axes) -> Value:
    """Return `value` with its axes in the order in which `axes` has them: a transposed view."""
    wanted = tuple(i for i in axes if i in value.axes)
    if wanted == value.axes:
        return value
    text, own = value.source or (value.text, value.axes)
    if own != wanted:
        places = ", ".join(str(own.index(i)) for i in wanted)
        turned = f"{text}.T" if len(own) == 2 else f"{text}.transpose({places})"
    else:
        turned = text
    return replace(value, text=turned, axes=wanted, source=(text, own))


def shape(axes: Axes) -> str:
    """Return the shape of `axes` as the arguments of `reshape`, a free extent as -1."""
    return ", ".join("-1" if i.extent.value is None else i.extent.name for i in axes)

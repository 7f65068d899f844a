"""Arrays as code names them, and how they are brought to a common set of axes without a copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy
from sympy import Expr

from bpgen.errors import TargetError
from bpgen.ir.expr import Access, Digit, access
from bpgen.ir.index import Index
from bpgen.targets.numpy.scalar import is_scalar, scalar
from bpgen.targets.numpy.scratch import Axes, Register


@dataclass(frozen=True, slots=True)
class Value:
    """An array expression, its axes in order, and the register it lives in, if any."""

    text: str
    axes: Axes
    register: Register | None = None

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
    return not text.endswith((".T", ")")) and "[:" not in text


def outer_axes(text: str) -> int:
    """Return how many axes lie outside one that a slice has picked: `a.z[:, t]` has one."""
    _, begin, rest = text.partition("[:")
    return 1 + rest.partition("]")[0].count(":") if begin else 0


def in_order(value: Value, axes: Axes) -> Value:
    """Return `value` with its axes in the order in which `axes` has them: a transposed view."""
    wanted = tuple(i for i in axes if i in value.axes)
    if wanted == value.axes:
        return value
    if len(wanted) == 2:
        return Value(f"{value.text}.T", wanted, value.register)
    places = ", ".join(str(value.axes.index(i)) for i in wanted)
    return Value(f"{value.text}.transpose({places})", wanted, value.register)


def read(entry: Access, names: Mapping[str, str]) -> Value:
    """Return the array that `entry` reads, as a view whose axes are the indices of the entry."""
    text = names[entry.name]
    fixed = [at for at in entry.indices if not at.has(Access) and is_scalar(at)]
    if fixed:
        text = f"{text}[{subscript([scalar(at) if at in fixed else None for at in entry.indices])}]"
        entry = access(entry.name, [at for at in entry.indices if at not in fixed])
    if any(isinstance(at, Digit | sympy.Add) for at in entry.indices):
        return _reshaped(entry, text)
    axes = tuple(at for at in entry.indices if isinstance(at, Index))
    if len(axes) < len(entry.indices):
        raise TargetError(
            f"no view reads {entry}", way_out="This is a bug in bpgen: a gather was not named."
        )
    if len(set(axes)) < len(axes):
        return _diagonal(text, axes)
    return Value(text, axes)


def _diagonal(text: str, axes: Axes) -> Value:
    letters = {i: chr(ord("a") + k) for k, i in enumerate(dict.fromkeys(axes))}
    pattern = "".join(letters[i] for i in axes)
    return Value(f'np.einsum("{pattern}->{"".join(letters.values())}", {text})', tuple(letters))


def _reshaped(entry: Access, text: str) -> Value:
    """Return the view of a tensor whose axes are joined or taken apart."""
    axes: list[Index] = []
    for at in entry.indices:
        if isinstance(at, Digit):
            axes += [] if axes and axes[-1] == at.index else [at.index]
        elif isinstance(at, sympy.Add):
            axes += sorted(
                (s for s in at.free_symbols if isinstance(s, Index)), key=lambda i: -_stride(at, i)
            )
        else:
            assert isinstance(at, Index), f"{entry} is no view"
            axes.append(at)
    _check_whole(entry)
    return Value(f"{text}.reshape({shape(tuple(axes))})", tuple(axes))


def _check_whole(entry: Access) -> None:
    """Refuse an index of which not all digits are read: its entries would have to be repeated."""
    radices: dict[Index, Expr] = {}
    for at in entry.indices:
        if isinstance(at, Digit):
            radices[at.index] = radices.get(at.index, sympy.S.One) * at.extent
    for index, radix in radices.items():
        if _value(radix) != _value(index.extent):
            raise TargetError(
                f"no view reads {entry}",
                disagree=f"the digits of `{index}` that it reads take {radix} values, not "
                f"{index.extent}",
                way_out="Read it by indices of its own, and join them in another tensor.",
            )


def _value(extents: Expr) -> Expr:
    return extents.xreplace({e: e.value or e for e in extents.free_symbols})


def _stride(at: Expr, index: Index) -> int:
    return int(_value(at.coeff(index)))


def shape(axes: Axes) -> str:
    """Return the shape of `axes` as the arguments of `reshape`, a free extent as -1."""
    return ", ".join("-1" if i.extent.value is None else i.extent.name for i in axes)

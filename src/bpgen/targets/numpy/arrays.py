"""What an entry reads: a view of the array that code has a name for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy
from sympy import Expr

from bpgen.errors import TargetError
from bpgen.ir.expr import Access, Digit, access
from bpgen.ir.index import Index
from bpgen.ir.reshape import is_part, known, parts_of, split_axes
from bpgen.ir.tensor import Tensor
from bpgen.targets.numpy.scalar import is_scalar, scalar
from bpgen.targets.numpy.scratch import Axes, Scratch
from bpgen.targets.numpy.values import Value, in_order, is_dense, shape, subscript
from bpgen.targets.numpy.windows import WINDOWS, diagonal, is_each_once, windowed


@dataclass(frozen=True, slots=True)
class Arrays:
    """The tensors as code names them, and the views of windows that a workspace holds.

    `rebound` are tensors that are views themselves: another array in every call.
    """

    names: Mapping[str, str]
    tensors: Mapping[str, Tensor]
    scratch: Scratch
    rebound: frozenset[str] = frozenset()

    def read(self, entry: Access) -> Value:
        """Return what `entry` reads, as a view whose axes are the indices of the entry."""
        text, entry, axes, is_picked = self._picked(entry)
        if any(isinstance(at, Digit) for at in entry.indices):
            return _reshaped(entry, f"{text}{_cut(entry, axes)}")
        if any(at.has(Access) for at in entry.indices):
            raise TargetError(
                f"no view reads {entry}", way_out="This is a bug in bpgen: a gather was not named."
            )
        sizes = [at.extent.value if isinstance(at, Index) else 0 for at in entry.indices]
        if sizes == [i.extent.value for i in axes]:
            strided = is_picked and not is_dense(text)
            return _whole(Value(text, entry.indices, strided=strided))
        value = _whole(windowed(text, entry.indices, axes))
        is_buffer = text.startswith(f"{self.scratch.owner}.") and entry.name not in self.rebound
        if WINDOWS not in value.text or not is_buffer:
            return value
        return replace(value, text=self.scratch.view(entry.name, value.text, value.axes))

    def _picked(self, entry: Access) -> tuple[str, Access, Axes, bool]:
        """Return the array without the axes of which `entry` reads one number, and the rest."""
        text, own = self.names[entry.name], self.tensors.get(entry.name)
        axes = own.indices if own else entry.indices
        picked = [scalar(at) if is_scalar(at) else None for at in entry.indices]
        if not any(picked):
            return text, entry, axes, False
        moving = [k for k, pick in enumerate(picked) if pick is None]
        rest = access(entry.name, [entry.indices[k] for k in moving])
        return f"{text}[{subscript(picked)}]", rest, tuple(axes[k] for k in moving), True

    def is_apart(self, entry: Access) -> bool:
        """Whether `entry` is read by digits that no view puts side by side."""
        _, rest, axes, _ = self._picked(entry)
        digits = any(isinstance(at, Digit) for at in rest.indices)
        part = any(is_part(at, axis) for at, axis in zip(rest.indices, axes, strict=True))
        return digits and (part or split_axes(rest, axes) is not None)

    def apart(self, entry: Access, axes: Axes) -> tuple[Value, Axes]:
        """Return what `entry` reads under the digits of `axes`, and these in order."""
        text, rest, own, _ = self._picked(entry)
        _check_whole(rest)
        pairs = list(zip(rest.indices, own, strict=True))
        cuts = [f":{at.extent}" if is_part(at, axis) else None for at, axis in pairs]
        text = f"{text}[{subscript(cuts)}]" if any(cuts) else text
        to, source = parts_of(rest, axes)
        return in_order(Value(text, source), to), to


def _cut(entry: Access, axes: Axes) -> str:
    """Return the slice of a tensor of which digits visit the first entries alone."""
    ends = []
    for at, axis in zip(entry.indices, axes, strict=True):
        end = known(at.extent) if isinstance(at, Digit | Index) else None
        ends.append("" if axis.extent.value in (None, end) else str(end))
    return f"[{', '.join(f':{end}' for end in ends)}]" if any(ends) else ""


def _whole(value: Value) -> Value:
    """Return an array of all its entries; an index that stands twice picks those of a diagonal."""
    return value if is_each_once(value.axes) else diagonal(value.text, value.axes)


def _reshaped(entry: Access, text: str) -> Value:
    """Return the view of a tensor whose axes are joined: adjacent digits are one index."""
    axes: list[Index] = []
    for at in entry.indices:
        if isinstance(at, Digit):
            axes += [] if axes and axes[-1] == at.index else [at.index]
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
        if known(radix) != known(index.extent):
            raise TargetError(
                f"no view reads {entry}",
                disagree=f"the digits of `{index}` that it reads take {radix} values, not "
                f"{index.extent}",
                way_out="Read it by indices of its own, and join them in another tensor.",
            )

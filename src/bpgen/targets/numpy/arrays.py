"""What an entry reads: a view of the array that code has a name for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy
from sympy import Expr

from bpgen.errors import TargetError
from bpgen.ir.expr import Access, Digit
from bpgen.ir.index import Index
from bpgen.ir.program import View
from bpgen.ir.tensor import Tensor
from bpgen.targets.numpy.scratch import Axes, Scratch
from bpgen.targets.numpy.values import Value, shape
from bpgen.targets.numpy.windows import WINDOWS, windowed


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
        text = self.names[entry.name]
        if any(isinstance(at, Digit) for at in entry.indices):
            return _reshaped(entry, f"{text}{self._cut(entry)}")
        if any(at.has(Access) for at in entry.indices):
            raise TargetError(
                f"no view reads {entry}", way_out="This is a bug in bpgen: a gather was not named."
            )
        axes = self.tensors[entry.name].indices if entry.name in self.tensors else entry.indices
        if all(_is_pick(at, axis) for at, axis in zip(entry.indices, axes, strict=True)):
            return _picked(entry, text)
        value = windowed(text, entry.indices, axes)
        if len(set(value.axes)) < len(value.axes):
            value = _diagonal(value.text, value.axes)
        is_buffer = text.startswith(f"{self.scratch.owner}.") and entry.name not in self.rebound
        if WINDOWS not in value.text or not is_buffer:
            return value
        return replace(value, text=self.scratch.view(entry.name, value.text, value.axes))

    def _cut(self, entry: Access) -> str:
        """Return the slice of a tensor of which digits visit the first entries alone."""
        if entry.name not in self.tensors:
            return ""
        pairs = zip(entry.indices, self.tensors[entry.name].indices, strict=True)
        wanted = [(at.extent if isinstance(at, Digit | Index) else None, i) for at, i in pairs]
        ends = [
            str(_value(extent))
            if extent is not None and i.extent.value not in (None, _value(extent))
            else ""
            for extent, i in wanted
        ]
        return f"[{', '.join(f':{end}' for end in ends)}]" if any(ends) else ""


def _is_pick(at: Expr, axis: Index) -> bool:
    """Whether an axis is read whole, or at one entry."""
    return isinstance(at, sympy.Integer) or (
        isinstance(at, Index) and at.extent.value == axis.extent.value
    )


def _picked(entry: Access, text: str) -> Value:
    fixed = [at for at in entry.indices if isinstance(at, sympy.Integer)]
    if fixed:
        picks = ", ".join(str(at) if at in fixed else ":" for at in entry.indices)
        text = f"{text}[{picks}]"
    axes = tuple(at for at in entry.indices if isinstance(at, Index))
    if len(set(axes)) < len(axes):
        return _diagonal(text, axes)
    return Value(text, axes, strided=bool(fixed))


def _diagonal(text: str, axes: Axes) -> Value:
    letters = {i: chr(ord("a") + k) for k, i in enumerate(dict.fromkeys(axes))}
    pattern = "".join(letters[i] for i in axes)
    view = f'np.einsum("{pattern}->{"".join(letters.values())}", {text})'
    return Value(view, tuple(letters), strided=True)


def _reshaped(entry: Access, text: str) -> Value:
    """Return the view of a tensor whose axes are joined: adjacent digits are one index."""
    axes: list[Index] = []
    places = _by_strides(entry)
    if places != sorted(places):
        # Digits that stand in another order are copied: rare, and right.
        text += f".transpose({', '.join(map(str, places))})"
    for at in (entry.indices[k] for k in places):
        if isinstance(at, Digit):
            axes += [] if axes and axes[-1] == at.index else [at.index]
        else:
            assert isinstance(at, Index), f"{entry} is no view"
            axes.append(at)
    _check_whole(entry)
    return Value(f"{text}.reshape({shape(tuple(axes))})", tuple(axes))


def _by_strides(entry: Access) -> list[int]:
    """Return the axes in an order in which the digits of an index follow each other, widest first.

    An index stands where its first digit does.
    """
    order = [at.index if isinstance(at, Digit) else at for at in entry.indices]

    def key(place: int) -> tuple[int, int]:
        at = entry.indices[place]
        stride = int(_value(at.stride)) if isinstance(at, Digit) else 0
        return order.index(order[place]), -stride

    return sorted(range(len(order)), key=key)


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


def is_rebound(view: View) -> bool:
    """Whether a view is another array in every call, and no buffer."""
    return split_axes(view.read, view.out.indices) is None


def split_axes(entry: Access, axes: Axes) -> tuple[Axes, Axes] | None:
    """Return the axes that a join is made of, in its order and in that of the tensor it reads.

    None if the tensor can be seen as the join: the digits of an index stand side by side in it.
    """
    digits = {at for at in entry.indices if isinstance(at, Digit)}
    order = [at.index if isinstance(at, Digit) else at for at in entry.indices]
    if not digits or _in_runs(entry, order):
        return None
    names = {
        at: Index(f"{at.index}_{k}", at.extent) for k, at in enumerate(sorted(digits, key=str))
    }
    source = tuple(names.get(at, at) for at in entry.indices)
    joined: list[Index] = []
    for axis in axes:
        own = [d for d in digits if d.index == axis]
        own.sort(key=lambda d: -int(_value(d.stride)))
        joined += [names[d] for d in own] or [axis]
    return tuple(joined), source


def _in_runs(entry: Access, order: list[Expr]) -> bool:
    """Whether the digits of each index follow each other, the widest first."""
    runs = [i for k, i in enumerate(order) if k == 0 or order[k - 1] != i]
    strides: dict[Expr, list[int]] = {}
    for at in entry.indices:
        if isinstance(at, Digit):
            strides.setdefault(at.index, []).append(int(_value(at.stride)))
    falling = all(s == sorted(s, reverse=True) for s in strides.values())
    return len(set(runs)) == len(runs) and falling

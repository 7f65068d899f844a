"""Entries at affine places as views: `x[n, c, 2*h + u]` is a window that moves by 2.

numpy's own `sliding_window_view` gives every position a window; steps, gaps and reversals are
slices of it. Nothing is copied.
"""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Expr

from bpgen.ir.affine import Affine, affine
from bpgen.ir.index import Extent, Index
from bpgen.targets.numpy.scratch import Axes
from bpgen.targets.numpy.values import Value, shape

WINDOWS = "sliding_window_view"


def windowed(text: str, at: Sequence[Expr], axes: Axes) -> Value:
    """Return the view of the array `text`, of axes `axes`, whose axes are the indices in `at`.

    Positions stay where the axis was; the indices of windows come last.
    """
    whole, parts = _apart(at, axes)
    if len(whole) != len(axes):
        text = f"{text}.reshape({shape(whole)})"
    found: list[Index] = []
    picks, steps, sizes, moved = [], [], [], []
    inner: list[tuple[Index, int]] = []
    for place, extent in parts:
        if not place.coefficients:
            picks.append(str(place.offset))
            continue
        position = max(place.coefficients, key=lambda i: i.extent.value or 0)
        picks.append(_picked(place, position, extent))
        others = [(i, c) for i, c in place.coefficients.items() if i != position]
        sizes += [_size(i, abs(c)) for i, c in others]
        moved += [str(len(found))] * len(others)
        inner += others
        steps.append(_step(place.coefficients[position]) if others else ":")
        found.append(position)
    text += _subscript(picks)
    if inner:
        text = f"{WINDOWS}({text}, {_tuple(sizes)}, {_tuple(moved)})"
        text += _subscript([*steps, *(_step(c) for _, c in inner)])
    every = (*found, *(i for i, _ in inner))
    return Value(text, every, strided=True) if is_each_once(every) else diagonal(text, every)


def is_each_once(axes: Axes) -> bool:
    """Whether no index stands on two axes."""
    return len(set(axes)) == len(axes)


def diagonal(text: str, axes: Axes) -> Value:
    """Return the view in which an index that stands on two axes runs along both at once."""
    letters = {i: chr(ord("a") + k) for k, i in enumerate(dict.fromkeys(axes))}
    pattern = "".join(letters[i] for i in axes)
    view = f'np.einsum("{pattern}->{"".join(letters.values())}", {text})'
    return Value(view, tuple(letters), strided=True)


def _apart(at: Sequence[Expr], axes: Axes) -> tuple[Axes, list[tuple[Affine, Extent]]]:
    """Take axes apart that are read by joins, `g R + r`; return the axes, and what reads each."""
    whole: list[Index] = []
    parts: list[tuple[Affine, Extent]] = []
    for expr, axis in zip(at, axes, strict=True):
        place = affine(expr)
        assert place is not None, f"{expr} is not affine"
        if len(place.coefficients) > 1 and place.is_complete(axis.extent):
            ordered = sorted(place.coefficients, key=lambda i: -place.coefficients[i])
            whole += ordered
            parts += [(Affine({i: 1}, 0), i.extent) for i in ordered]
        else:
            whole.append(axis)
            parts.append((place, axis.extent))
    return tuple(whole), parts


def _picked(place: Affine, position: Index, extent: Extent) -> str:
    """Return the slice of an axis that is read: all positions, with all of their windows."""
    if extent.value is None:
        return ":"
    if len(place.coefficients) > 1:
        return _slice(place.least, place.most + 1, extent.value)
    step = place.coefficients[position]
    if step < 0:
        first = "" if place.offset == extent.value - 1 else str(place.offset)
        end = place.least - 1
        return f"{first}:{end if end >= 0 else ''}:{step}"
    # An end within the last step cuts nothing.
    end = place.most + 1 if place.most + step < extent.value else extent.value
    text = _slice(place.least, end, extent.value)
    return text if step == 1 else f"{text}:{step}"


def _slice(begin: int, end: int, length: int) -> str:
    return f"{begin or ''}:{end if end < length else ''}"


def _size(index: Index, gap: int) -> str:
    """Return the length of a window: U entries, `gap` apart."""
    if gap == 1:
        return str(index.extent)
    return str(gap * ((index.extent.value or 1) - 1) + 1)


def _step(step: int) -> str:
    return ":" if step == 1 else f"::{step}"


def _subscript(slices: Sequence[str]) -> str:
    return f"[{', '.join(slices)}]" if any(s != ":" for s in slices) else ""


def _tuple(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"({', '.join(items)})"

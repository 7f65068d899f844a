"""A sum of products of few terms, written term by term.

    y[n,t,i,g] = Σ_f turn[t,i,g,f] x[n,t,i,f]

    np.multiply(a.turn[:, :, 0, 0], a.x[:, :, :, 0], out=a.y[:, :, :, 0])
    np.multiply(a.turn[:, :, 0, 1], a.x[:, :, :, 1], out=a.u_nti)
    np.add(a.y[:, :, :, 0], a.u_nti, out=a.y[:, :, :, 0])
    …

A call for each matrix of a stack costs more than a 2×2 matrix does (measured: four times as much).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product

from bpgen.ir.index import Index
from bpgen.targets.numpy.scratch import Axes, Scratch
from bpgen.targets.numpy.values import Value, in_order, subscript

_SUMMED, _PRODUCTS = 4, 8  # the most that are written out


def by_terms(a: Value, b: Value, over: Axes, out: Value, scratch: Scratch) -> list[str] | None:
    """Return the lines that write Σ_over a b into `out`; None if it is no stack of tiny matrices.

    The tiny matrix has the axes `over`, and those of `out` that one factor alone has.
    """
    both = set(a.axes) & set(b.axes)
    if not both >= set(over) or not both - set(over) or not set(out.axes) <= {*a.axes, *b.axes}:
        return None
    sides = [tuple(i for i in out.axes if i in v.axes and i not in both) for v in (a, b)]
    tiny = min(sides, key=_entries)
    if _entries(over) > _SUMMED or _entries((*over, *tiny)) > _PRODUCTS:
        return None
    rest = tuple(i for i in out.axes if i not in tiny)
    register = scratch.take(rest)
    scratch.free(register)
    further = scratch.text(register)
    lines = []
    for place in product(*(range(i.extent.value or 0) for i in tiny)):
        fixed = dict(zip(tiny, place, strict=True))
        to = _at(out, fixed, rest)
        for count, term in enumerate(product(*(range(i.extent.value or 0) for i in over))):
            picked = {**fixed, **dict(zip(over, term, strict=True))}
            factors = f"{_at(a, picked, rest)}, {_at(b, picked, rest)}"
            lines.append(f"np.multiply({factors}, out={further if count else to})")
            if count:
                lines.append(f"np.add({to}, {further}, out={to})")
    return lines


def _entries(axes: Axes) -> float:
    """Return how many entries a matrix of these axes has."""
    return math.prod(i.extent.value or math.inf for i in axes)


def _at(value: Value, fixed: Mapping[Index, int], axes: Axes) -> str:
    """Return the entries of `value` at fixed values of some indices, broadcast over `axes`."""
    picks = [str(fixed[i]) if i in fixed else None for i in value.axes]
    text = f"{value.text}[{subscript(picks)}]" if any(picks) else value.text
    left = Value(text, tuple(i for i in value.axes if i not in fixed))
    return in_order(left, axes).along(axes)

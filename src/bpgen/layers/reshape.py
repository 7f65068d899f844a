"""The same entries under other axes."""

from __future__ import annotations

import math

import sympy

from bpgen import declare as bp
from bpgen.errors import ShapeError
from bpgen.layers.flatten import flatten


def reshape(x: bp.Tensor, *extents: int) -> bp.Tensor:
    """Lay the entries of each example out anew, the last axis fastest.

    Formula:
        flat[n,d] = x[n, …], the digits of d in the extents of x
        y[n,c,h,w] = flat[n, c H W + h W + w]

    Shapes: x[n,…] -> y[n,c,h,w] with `extents` C, H, W, or any others with the same product; one
    of them may be -1, for what is left.
    Errors: ShapeError if `x` has another number of entries, or no axis but the batch.
    """
    flat = flatten(x)
    n, d = flat.indices
    sizes = _completed(x, d.extent.value or 0, extents)
    if len(sizes) == 1:
        return flat
    letters = ("", "", "td", "chw", "cthw")[len(sizes)] if len(sizes) < 5 else "defghjkm"
    axes: list[bp.Index] = []
    for size, letter in zip(sizes, letters, strict=False):
        axes.append(bp.fresh_index(size, letter, n, *axes))
    joined = sympy.Add(*(i * math.prod(sizes[k + 1 :]) for k, i in enumerate(axes)))
    return bp.define(bp.Auto("shaped"), (n, *axes), flat[n, joined])


def _completed(x: bp.Tensor, entries: int, extents: tuple[int, ...]) -> tuple[int, ...]:
    known = math.prod(e for e in extents if e != -1)
    open_axes = extents.count(-1)
    fits = bool(extents) and all(isinstance(e, int) and (e > 0 or e == -1) for e in extents)
    if fits and open_axes == 1 and entries % known == 0:
        return tuple(entries // known if e == -1 else e for e in extents)
    if not fits or open_axes or known != entries:
        raise ShapeError(
            f"`{x.label}` cannot be seen under the extents {extents}",
            where=bp.here(),
            disagree=f"an example of {x!r} has {entries} entries; the extents have {abs(known)}",
            rule="A reshape keeps every entry of an example.",
            way_out=f"Give extents whose product is {entries}; one may be -1.",
        )
    return extents

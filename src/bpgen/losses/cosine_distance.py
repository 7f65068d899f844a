"""One minus the cosine of the angle between two vectors."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.losses.pairing import paired


def cosine_distance(prediction: bp.Tensor, target: bp.Tensor, *, eps: float = 1e-8) -> bp.Tensor:
    """Average one minus the cosine between the rows of prediction and target.

    Formula:
        length_x[…] = √max(Σ_k x[…,k]², eps²), for x the prediction and for x the target
        dot[…]      = Σ_k prediction[…,k] target[…,k]
        L = mean ( 1 - dot[…] / (length_prediction[…] length_target[…]) )

    Shapes: prediction[…,k], target[…,k] -> L.
    Units: `eps` is in units of the prediction; below it, length has no effect on the loss.
    Errors: ShapeError if the two have different extents, or no axis but the batch; OptionError if
    `eps` is not positive.
    Source: Salton, Wong & Yang 1975, A vector space model for automatic indexing.
    """
    least = bp.option("`eps`", eps, above=0)
    *outer, k = at = paired("cosine_distance", prediction, target, axis=True)
    row = tuple(outer)
    product = bp.sum(prediction[at] * target[at], over=k)
    dot = bp.define(bp.Auto("dot", always=False), row, product)
    a, b = _length(prediction, at, least), _length(target, at, least)
    entry = 1 - dot[row] / (a[row] * b[row])
    return bp.define(bp.Auto("cosine_distance", always=False), (), bp.mean(entry, over=row))


def _length(x: bp.Tensor, at: tuple[bp.Index, ...], least: bp.Formula) -> bp.Tensor:
    *outer, k = at
    row = tuple(outer)
    square = bp.define(bp.Auto("square"), row, bp.sum(x[at] ** 2, over=k))
    clamped = bp.where(square[row] > least**2, square[row], least**2)
    return bp.define(bp.Auto("length"), row, sympy.sqrt(clamped))

"""The negative log-likelihood of a mixture of normal distributions."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.errors import ShapeError
from bpgen.losses.pairing import described
from bpgen.losses.softmax_cross_entropy import normalised


def mixture_density(
    mean: bp.Tensor, target: bp.Tensor, *, logits: bp.Tensor, log_scale: bp.Tensor
) -> bp.Tensor:
    """Compare targets with a mixture of round normal distributions, each with mean and width.

    Formula:
        distance[…,j] = Σ_d (target[…,d] - mean[…,j,d])²
        score[…,j]    = logits[…,j] - exp(-2 log_scale[…,j]) distance[…,j] / 2 - D log_scale[…,j]
        L = mean ( log Σ_j exp logits[…,j] - log Σ_j exp score[…,j] ) + D log(2π) / 2

    Each log Σ exp is written with its largest term taken out, as in softmax_cross_entropy.

    Shapes: mean[…,j,d], target[…,d], logits[…,j], log_scale[…,j] -> L. The softmax of `score` is
    the share of each part in a target, with which the gradient is written.
    Units: exp(log_scale) is in units of the target.
    Errors: ShapeError if the extents do not fit together.
    Source: Bishop 1994, Mixture density networks, eqs. 22, 23 and 29.
    """
    _check(mean, target, logits, log_scale)
    *outer, j, d = mean.indices
    row = tuple(outer)
    at = (*row, j)
    squares = bp.sum((target[(*row, d)] - mean[mean.indices]) ** 2, over=d)
    distance = bp.define(bp.Auto("distance", always=False), at, squares)
    width = log_scale[at]
    formula = logits[at] - sympy.exp(-2 * width) * distance[at] / 2 - d.extent * width
    score = bp.define(bp.Auto("score", always=False), at, formula)
    m, s, p = normalised(logits)
    top, total, share = normalised(score)
    entry = sympy.log(s[row]) + m[row] - sympy.log(total[row]) - top[row]
    constant = d.extent * sympy.log(2 * sympy.pi) / 2
    return bp.define(
        bp.Auto("mixture_density", always=False),
        (),
        bp.mean(entry + constant, over=row),
        beside=(p, share),
    )


def _check(mean: bp.Tensor, target: bp.Tensor, *parts: bp.Tensor) -> None:
    *rows, each, features = mean.tensor.shape if len(mean.indices) > 2 else (None, None, None)
    wanted = {target: (*rows, features), **dict.fromkeys(parts, (*rows, each))}
    for tensor, shape in wanted.items():
        if tensor.tensor.shape != shape or features is None:
            raise ShapeError(
                f"mixture_density cannot compare `{mean.label}` with `{tensor.label}`",
                where=bp.here(),
                disagree=f"{described(mean)}; {described(tensor)}",
                rule="mean[…,j,d] goes with target[…,d], logits[…,j] and log_scale[…,j].",
                way_out="Give the layers before them as many units as there are parts.",
            )

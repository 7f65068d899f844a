"""The negative log-likelihood of a categorical distribution given by logits."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.errors import ShapeError
from bpgen.losses.pairing import described


def softmax_cross_entropy(
    logits: bp.Tensor, label: bp.Tensor, *, smoothing: float = 0, ignore: int | None = None
) -> bp.Tensor:
    """Compare logits with integer labels.

    Formula:
        m[…]   = max_k z[…,k],  e[…,k] = exp(z[…,k] - m[…]),  s[…] = Σ_k e[…,k]
        p[…,k] = e[…,k] / s[…]
        L      = mean ( log s[…] + m[…] - z[…, label[…]] )

    With label smoothing ε the last entry is (1-ε) z[…, label[…]] + ε mean_k z[…,k]. Rows whose
    label is `ignore` (a padded position) do not count: the mean is that of the others.

    Shapes: logits z[…,k], label[…] -> L. The maximum is a constant of the derivation: any shift
    cancels in L. `p` is not needed for L; it is what the gradient is written with, and what a user
    wants to predict.
    Errors: ShapeError unless each row of logits has one label, and each class one logit;
    OptionError unless `smoothing` is between 0 and 1, and `ignore` is a class.
    Source: -log of the categorical density, Bishop 2006, Pattern Recognition and Machine Learning,
    eq. 4.108; smoothing: Szegedy, Vanhoucke, Ioffe, Shlens & Wojna 2015, arXiv:1512.00567, section
    7.
    """
    share = bp.option("`smoothing`", smoothing, at_least=0, at_most=1)
    _check_classes(logits, label)
    *outer, k = logits.indices
    row = tuple(outer)
    m, s, p = normalised(logits)
    right = logits[(*row, label[row])]
    if share:
        average = bp.define(
            bp.Auto("average", always=False), row, bp.mean(logits[logits.indices], over=k)
        )
        right = (1 - share) * right + share * average[row]
    entry = sympy.log(s[row]) + m[row] - right
    formula = (
        bp.mean(entry, over=row) if ignore is None else _mean_of_kept(entry, row, label, ignore)
    )
    return bp.define(bp.Auto("cross_entropy", always=False), (), formula, beside=(p,))


def _mean_of_kept(
    entry: bp.Formula, at: tuple[bp.Index, ...], label: bp.Tensor, ignore: int
) -> bp.Formula:
    """Return Σ kept[…] entry[…] / Σ kept[…], where kept[…] is 1 unless label[…] is `ignore`."""
    value = bp.option("`ignore`", ignore, at_least=0, at_most=(label.tensor.below or 1) - 1)
    unlike = bp.where(sympy.Ne(label[at], value), 1, 0)
    kept = bp.define(bp.Auto("kept", always=False), at, unlike)
    count = bp.define(bp.Auto("count", always=False), (), bp.sum(kept[at], over=at))
    weighed = bp.define(bp.Auto("weighed", always=False), at, kept[at] * entry / count[()])
    return bp.sum(weighed[at], over=at)


def normalised(z: bp.Tensor) -> tuple[bp.Tensor, bp.Tensor, bp.Tensor]:
    """Return the maximum `m` of the last axis, the sum `s` of exponentials, and the softmax `p`.

    Formula:
        m[…]   = max_k z[…,k],  e[…,k] = exp(z[…,k] - m[…]),  s[…] = Σ_k e[…,k]
        p[…,k] = e[…,k] / s[…]
    """
    *outer, k = at = z.indices
    row = tuple(outer)
    m = bp.define(bp.Auto("m", always=False), row, bp.hold(bp.max(z[at], over=k)))
    e = bp.define(bp.Auto("e", always=False), at, sympy.exp(z[at] - m[row]))
    s = bp.define(bp.Auto("s", always=False), row, bp.sum(e[at], over=k))
    p = bp.define(bp.Auto("p", always=False), at, e[at] / s[row])
    return m, s, p


def _check_classes(logits: bp.Tensor, label: bp.Tensor) -> None:
    *rows, classes = logits.tensor.shape or (None,)
    if (tuple(rows), classes) != (label.tensor.shape, label.tensor.below):
        raise ShapeError(
            f"softmax_cross_entropy cannot compare `{logits.label}` with `{label.label}`",
            where=bp.here(),
            disagree=f"{described(logits)}; {described(label)} "
            f"and {label.tensor.below or 'no'} classes",
            rule="Each row of logits has one label, and each class has one logit.",
            way_out="Give the layer before it as many units as bp.label has classes.",
        )

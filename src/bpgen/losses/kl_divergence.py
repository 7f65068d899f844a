"""The Kullback-Leibler divergence of predicted from given probabilities."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.losses.pairing import paired
from bpgen.losses.softmax_cross_entropy import normalised


def kl_divergence(logits: bp.Tensor, target: bp.Tensor) -> bp.Tensor:
    """Compare logits with the probabilities they are to give, of a teacher for instance.

    Formula:
        m[…]   = max_k z[…,k],  e[…,k] = exp(z[…,k] - m[…]),  s[…] = Σ_k e[…,k]
        p[…,k] = e[…,k] / s[…]
        L      = mean over rows of Σ_k t[…,k] ( log t[…,k] + log s[…] + m[…] - z[…,k] )

    where 0 log 0 = 0. For z[n,k] this is torch.nn.KLDivLoss(reduction="batchmean") of
    log_softmax(z).

    Shapes: logits z[…,k], target t[…,k] -> L. The maximum is a constant of the derivation, as in
    softmax_cross_entropy.
    Errors: ShapeError if the two have different extents, or no axis but the batch.
    Source: Kullback & Leibler 1951, On information and sufficiency, eq. 2.4.
    """
    *outer, k = at = paired("kl_divergence", logits, target, axis=True)
    row = tuple(outer)
    m, s, p = normalised(logits)
    t = target[at]
    own = sympy.log(bp.where(t > 0, t, 1))
    entry = t * (own + sympy.log(s[row]) + m[row] - logits[at])
    divergence = bp.define(bp.Auto("divergence", always=False), row, bp.sum(entry, over=k))
    return bp.define(
        bp.Auto("kl_divergence", always=False), (), bp.mean(divergence[row], over=row), beside=(p,)
    )

"""The negative log-likelihood of a categorical distribution given by logits."""

from __future__ import annotations

import sympy

from bpgen import declare as bp


def softmax_cross_entropy(z: bp.Tensor, label: bp.Tensor, *, smoothing: float = 0.0) -> bp.Tensor:
    """Compare logits with integer labels.

    Formula:
        m[n] = max_k z[n,k],  e[n,k] = exp(z[n,k] - m[n]),  s[n] = Σ_k e[n,k]
        p[n,k] = e[n,k] / s[n]
        L = mean_n ( log s[n] + m[n] - z[n, label[n]] )

    With label smoothing ε the last entry is (1-ε) z[n, label[n]] + ε mean_k z[n,k].

    Shapes: z[…,k], label[…] -> L. The maximum is a constant of the derivation: any shift cancels in L. `p` is
    not needed for L; it is what the gradient is written with, and what a user wants to predict.
    Source: -log of the categorical density, Bishop 2006, Pattern Recognition and Machine Learning, eq. 4.108.
    """
    *outer, k = z.indices
    m = bp.define(bp.Auto("m", always=False), outer, bp.hold(bp.max(z[z.indices], over=k)))
    e = bp.define(bp.Auto("e", always=False), z.indices, sympy.exp(z[z.indices] - m[tuple(outer)]))
    s = bp.define(bp.Auto("s", always=False), outer, bp.sum(e[z.indices], over=k))
    p = bp.define(bp.Auto("p", always=False), z.indices, e[z.indices] / s[tuple(outer)])
    at = tuple(outer)
    right = z[(*at, label[at])]
    loss = sympy.log(s[at]) + m[at] - right
    return bp.define(bp.Auto("loss", always=False), (), bp.mean(loss, over=at), beside=(p,))

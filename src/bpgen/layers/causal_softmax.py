"""The softmax function of what is not in the future."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.layers.demands import needed_axes


def causal_softmax(score: bp.Tensor) -> bp.Tensor:
    """Turn scores of pairs of positions into probabilities of s = 0 … t, and 0 beyond.

    Formula:
        m[…,t]   = max of score[…,t,s] over s ≤ t
        u[…,t,s] = score[…,t,s] - m[…,t] where s ≤ t, else 0
        e[…,t,s] = [s ≤ t] exp(u[…,t,s])
        p[…,t,s] = e[…,t,s] / Σ_s e[…,t,s]

    Shapes: score[…,t,s] -> p[…,t,s]. The maximum is a constant of the derivation: any shift cancels
    in p.
    Errors: ShapeError if `score` has not two axes besides the batch.
    Source: Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser & Polosukhin 2017,
    arXiv:1706.03762, section 3.2.3.
    """
    *outer, t, s = at = needed_axes(score, "causal_softmax", "score[n,t,s]")
    row = (*outer, t)
    # Beyond t stands the first score, which is among those the maximum is taken of.
    seen = bp.where(s <= t, score[at], score[(*row, 0)])
    m = bp.define(bp.Auto("m", always=False), row, bp.hold(bp.max(seen, over=s)))
    u = bp.define(bp.Auto("u"), at, bp.where(s <= t, score[at] - m[row], 0))
    e = bp.define(bp.Auto("e", always=False), at, bp.where(s <= t, 1, 0) * sympy.exp(u[at]))
    total = bp.define(bp.Auto("s", always=False), row, bp.sum(e[at], over=s))
    return bp.define(bp.Auto("p", always=False), at, e[at] / total[row])

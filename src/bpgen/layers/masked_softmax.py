"""The softmax function of what a mask lets be seen."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.errors import ShapeError
from bpgen.layers.demands import needed_axes
from bpgen.losses.pairing import described

_LEAST = -(sympy.Integer(10) ** 30)  # below every score, and a number of float32


def masked_softmax(score: bp.Tensor, mask: bp.Tensor, *, causal: bool = False) -> bp.Tensor:
    """Turn scores of pairs of positions into probabilities of what is seen, and 0 elsewhere.

    Formula:
        seen[…,t,s] = 1 where mask[…,s] > 0 (and s ≤ t if `causal`), else 0
        m[…,t]      = max of score[…,t,s] over the seen s; -1e30 if there is none
        u[…,t,s]    = seen[…,t,s] (score[…,t,s] - m[…,t])
        e[…,t,s]    = seen[…,t,s] exp(u[…,t,s])
        none[…,t]   = 1 - max of seen[…,t,s] over s
        p[…,t,s]    = e[…,t,s] / (Σ_s e[…,t,s] + none[…,t])

    Where nothing is seen, all probabilities are 0.

    Shapes: score[n,…,t,s] -> p[n,…,t,s] with mask[n,s] or mask[n,t,s], integers or numbers. The
    maximum is a constant of the derivation: any shift cancels in p.
    Errors: ShapeError if `score` has not two axes besides the batch, or `mask` does not fit them.
    Source: Vaswani, Shazeer, Parmar, Uszkoreit, Jones, Gomez, Kaiser & Polosukhin 2017,
    arXiv:1706.03762, section 3.2.3.
    """
    *outer, t, s = at = needed_axes(score, "masked_softmax", "score[n,t,s]")
    row = (*outer, t)
    visible = bp.where(mask[_of_mask(score, mask)] > 0, 1, 0)
    each = causal or len(mask.indices) == 3
    pair = (at[0], t, s) if each else (at[0], s)
    seen = bp.define(bp.Auto("seen"), pair, bp.where(s <= t, visible, 0) if causal else visible)
    shown = bp.where(seen[pair] > 0, score[at], _LEAST)
    m = bp.define(bp.Auto("m", always=False), row, bp.hold(bp.max(shown, over=s)))
    u = bp.define(bp.Auto("u"), at, seen[pair] * (score[at] - m[row]))
    e = bp.define(bp.Auto("e", always=False), at, seen[pair] * sympy.exp(u[at]))
    none = bp.define(bp.Auto("none"), pair[:-1], 1 - bp.max(seen[pair], over=s))
    total = bp.sum(e[at], over=s) + none[pair[:-1]]
    sums = bp.define(bp.Auto("s", always=False), row, total)
    return bp.define(bp.Auto("p", always=False), at, e[at] / sums[row])


def _of_mask(score: bp.Tensor, mask: bp.Tensor) -> tuple[bp.Index, ...]:
    """Return the indices of `score` by which `mask` is read."""
    n, *_, t, s = score.indices
    for at in ((n, s), (n, t, s)):
        if mask.tensor.shape == tuple(i.extent.value for i in at):
            return at
    raise ShapeError(
        f"the mask `{mask.label}` does not fit the scores `{score.label}`",
        where=bp.here(),
        disagree=f"{described(mask)}; {described(score)}",
        rule="A mask says of each position, mask[n,s], or of each pair, mask[n,t,s], "
        "whether it is seen.",
        way_out="Declare it with those extents.",
    )

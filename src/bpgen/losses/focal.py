"""Cross entropy that counts less where the answer is already right."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.losses.pairing import paired
from bpgen.losses.sigmoid_cross_entropy import logistic


def focal(
    logits: bp.Tensor, target: bp.Tensor, *, gamma: float = 2, alpha: float | None = None
) -> bp.Tensor:
    """Compare logits with answers 0 and 1, weighing each by how wrong it is, to the power `gamma`.

    Formula:
        m[…] = max(z[…], 0),  e[…] = exp(z[…] - m[…]),  s[…] = exp(-m[…]) + e[…]
        p[…] = e[…] / s[…]
        q[…] = t[…] exp(-m[…]) / s[…] + (1 - t[…]) p[…], the probability of the wrong answer
        L    = mean q[…]^gamma ( log s[…] + m[…] - t[…] z[…] )

    With `alpha` each entry is weighed by alpha where the answer is 1, by 1 - alpha where it is 0.

    Shapes: logits z[…], target t[…] -> L.
    Errors: ShapeError if the two have different extents; OptionError unless `gamma` is at least 1
    and `alpha` between 0 and 1.
    Source: Lin, Goyal, Girshick, He & Dollár 2017, arXiv:1708.02002, eqs. 4 and 5.
    """
    power = bp.option("`gamma`", gamma, at_least=1)
    at = paired("focal", logits, target)
    z, t = logits[at], target[at]
    m, s, p = logistic(logits)
    wrong = t * sympy.exp(-m[at]) / s[at] + (1 - t) * p[at]
    q = bp.define(bp.Auto("q", always=False), at, wrong)
    surprise = bp.define(
        bp.Auto("surprise", always=False), at, sympy.log(s[at]) + m[at] - t * z, beside=(p,)
    )
    entry = q[at] ** power * surprise[at]
    if alpha is not None:
        share = bp.option("`alpha`", alpha, at_least=0, at_most=1)
        entry = (share * t + (1 - share) * (1 - t)) * entry
    return bp.define(bp.Auto("focal", always=False), (), bp.mean(entry, over=at))

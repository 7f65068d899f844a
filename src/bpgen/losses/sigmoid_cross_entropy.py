"""The negative log-likelihood of a Bernoulli distribution given by logits."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.losses.pairing import paired


def sigmoid_cross_entropy(logits: bp.Tensor, target: bp.Tensor) -> bp.Tensor:
    """Compare logits with probabilities, or with answers 0 and 1.

    Formula:
        m[…] = max(z[…], 0),  e[…] = exp(z[…] - m[…]),  s[…] = exp(-m[…]) + e[…]
        p[…] = e[…] / s[…] = 1 / (1 + exp(-z[…]))
        L    = mean ( log s[…] + m[…] - target[…] z[…] )

    Shapes: logits z[…], target[…] -> L. This is the softmax of the two logits 0 and z: the maximum
    is a constant of the derivation, since any shift cancels in L; the gradient is written with
    `p`.
    Errors: ShapeError if the two have different extents.
    Source: -log of the Bernoulli density, Bishop 2006, Pattern Recognition and Machine Learning,
    eq. 4.90.
    """
    at = paired("sigmoid_cross_entropy", logits, target)
    m, s, p = logistic(logits)
    entry = sympy.log(s[at]) + m[at] - target[at] * logits[at]
    return bp.define(
        bp.Auto("cross_entropy", always=False), (), bp.mean(entry, over=at), beside=(p,)
    )


def logistic(z: bp.Tensor) -> tuple[bp.Tensor, bp.Tensor, bp.Tensor]:
    """Return the larger `m` of the logits 0 and z, the sum `s` of exponentials, and `p` of z.

    Formula:
        m[…] = max(z[…], 0),  e[…] = exp(z[…] - m[…]),  s[…] = exp(-m[…]) + e[…]
        p[…] = e[…] / s[…]
    """
    at = z.indices
    m = bp.define(bp.Auto("m", always=False), at, bp.hold(bp.where(z[at] > 0, z[at], 0)))
    e = bp.define(bp.Auto("e", always=False), at, sympy.exp(z[at] - m[at]))
    s = bp.define(bp.Auto("s", always=False), at, sympy.exp(-m[at]) + e[at])
    p = bp.define(bp.Auto("p", always=False), at, e[at] / s[at])
    return m, s, p

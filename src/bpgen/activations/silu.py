"""The sigmoid linear unit."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.activations.sigmoid import sigmoid


def silu(x: bp.Tensor) -> bp.Tensor:
    """Weigh an entry by its own logistic function (also called swish).

    Formula:
        s = sigmoid(x)
        y = x s

    Source: Elfwing, Uchibe & Doya 2017, arXiv:1702.03118.
    """
    s = sigmoid(x)
    return bp.define(bp.Auto("silu"), x.indices, x[x.indices] * s[x.indices])

"""The softmax function of the last axis."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.layers.linear import last_axis
from bpgen.losses.softmax_cross_entropy import normalised


def softmax(x: bp.Tensor) -> bp.Tensor:
    """Turn the last axis of `x` into probabilities.

    Formula:
        m[…]   = max_k x[…,k],  e[…,k] = exp(x[…,k] - m[…]),  s[…] = Σ_k e[…,k]
        p[…,k] = e[…,k] / s[…]

    Shapes: x[…,k] -> p[…,k]. The maximum is a constant of the derivation: any shift cancels in p.
    Errors: ShapeError if `x` has no axis but the batch.
    Source: Bridle 1990, Probabilistic interpretation of feedforward classification network outputs.
    """
    last_axis(x, "softmax")
    _, _, p = normalised(x)
    return p

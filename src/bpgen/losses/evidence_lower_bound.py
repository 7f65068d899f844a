"""What the evidence lower bound charges for a code: its distance from a standard normal."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.losses.pairing import paired


def evidence_lower_bound(
    mean: bp.Tensor, *, log_variance: bp.Tensor, weight: float = 1
) -> bp.Tensor:
    """Return the divergence of a normal code from a standard normal one, to add to a loss.

    Formula:
        L = weight mean over rows of Σ_k ( mean[…,k]² + exp(v[…,k]) - 1 - v[…,k] ) / 2,
            v = log_variance

    Shapes: mean[…,k], log_variance[…,k] -> L. The negative bound is this and the reconstruction
    loss of a whole example: `sigmoid_cross_entropy(logits, image) * 64` for 64 pixels, since
    losses are means over all entries.
    Units: nats per example; `weight` other than 1 makes the β-VAE.
    Errors: ShapeError if the two have different extents, or no axis but the batch; OptionError if
    `weight` is not positive.
    Source: Kingma & Welling 2013, arXiv:1312.6114, appendix B.
    """
    factor = bp.option("`weight`", weight, above=0)
    *outer, k = at = paired("evidence_lower_bound", mean, log_variance, axis=True)
    row = tuple(outer)
    v = log_variance[at]
    entry = (mean[at] ** 2 + sympy.exp(v) - 1 - v) / 2
    divergence = bp.define(bp.Auto("divergence", always=False), row, bp.sum(entry, over=k))
    return bp.define(
        bp.Auto("evidence_lower_bound", always=False),
        (),
        bp.mean(factor * divergence[row], over=row),
    )

"""The random removal of entries in training."""

from __future__ import annotations

from bpgen import declare as bp


def dropout(x: bp.Tensor, rate: float = 0.5) -> bp.Tensor:
    """Set a random share `rate` of the entries to 0 in training, and scale up the others.

    Formula:
        mask[…] = 1 with probability 1 - rate, else 0, drawn anew in every step
        y[…]    = x[…] mask[…] / (1 - rate) in training
        y[…]    = x[…] in prediction

    Shapes: x[…] -> y[…].
    Errors: OptionError if `rate` is not at least 0 and below 1.
    Source: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014, Dropout: a simple way
    to prevent neural networks from overfitting, sections 4 and 10.
    """
    kept = 1 - bp.option("`rate`", rate, at_least=0, below=1)
    at = x.indices
    mask = bp.noise(bp.Auto("mask"), at, "bernoulli", float(kept))
    return bp.define(bp.Auto("dropout"), at, x[at] * mask[at] / kept, predict=x[at])

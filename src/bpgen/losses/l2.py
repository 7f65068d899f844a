"""The penalty on squared weights."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.losses.penalty import sum_over_weights


def l2(*tensors: bp.Tensor, strength: float) -> bp.Tensor:
    """Add up the squares of weights: a term to add to a loss, which pulls weights towards 0.

    Formula:
        L = strength Σ_W Σ_I W[I]²

    Shapes: any tensors -> L. A parameter is penalised itself; a computed tensor stands for every
    weight (parameter with two axes or more) it is computed from.
    Errors: FormulaError if `tensors` stand for no weight; OptionError if `strength` is not
    positive.
    Source: -log of a normal prior, Krogh & Hertz 1991, A simple weight decay can improve
    generalization.
    """
    return sum_over_weights("l2", tensors, strength, lambda w: w**2)

"""The penalty on the sizes of weights."""

from __future__ import annotations

import sympy

from bpgen import declare as bp
from bpgen.losses.penalty import sum_over_weights


def l1(*tensors: bp.Tensor, strength: float) -> bp.Tensor:
    """Add up the sizes of weights: a term to add to a loss, which drives weights to 0 exactly.

    Formula:
        L = strength Σ_W Σ_I |W[I]|

    Shapes: any tensors -> L. A parameter is penalised itself; a computed tensor stands for every
    weight (parameter with two axes or more) it is computed from. At a weight of 0 the derivative
    is 0.
    Errors: FormulaError if `tensors` stand for no weight; OptionError if `strength` is not
    positive.
    Source: -log of a Laplace prior, Tibshirani 1996, Regression shrinkage and selection via the
    lasso.
    """
    return sum_over_weights("l1", tensors, strength, sympy.Abs)

"""The logistic function."""

from __future__ import annotations

import sympy

from bpgen import declare as bp


@bp.activation
def sigmoid(z: bp.Formula) -> bp.Formula:
    """Map the real line onto the numbers between 0 and 1.

    Formula:
        y = 1 / (1 + exp(-z)) = 1/2 + tanh(z/2) / 2

    The last form, which cannot overflow, is the one that is differentiated.

    Source: Bishop 2006, Pattern Recognition and Machine Learning, eqs. 3.6 and 3.100.
    """
    return sympy.S.Half + sympy.tanh(z / 2) / 2

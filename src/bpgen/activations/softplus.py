"""The smooth rectifier."""

from __future__ import annotations

import sympy
from sympy.codegen.cfunctions import log1p

from bpgen import declare as bp
from bpgen.activations.relu import relu


@bp.activation
def softplus(z: bp.Formula) -> bp.Formula:
    """Map the real line onto the positive numbers.

    Formula:
        y = log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|))

    The last form cannot overflow. At 0 both of its switches take the left branch, so that the
    derivative there is 0 + 1/2.

    Source: Dugas, Bengio, Bélisle, Nadeau & Garcia 2000, Incorporating second-order functional
    knowledge for better option pricing.
    """
    minus_size = bp.where(z > 0, -z, z)
    return relu(z) + log1p(sympy.exp(minus_size))

"""`bp.activation`: a scalar formula becomes a layer that acts entry by entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bpgen.declare.define import define
from bpgen.declare.given import checked_name
from bpgen.declare.variable import Auto, Variable


def activation(formula: Callable[[Any], Any], *, name: str) -> Callable[[Variable], Variable]:
    """Return the layer `y[I] = formula(x[I])` for a tensor of any rank.

    `formula` takes one entry and returns a formula of it; its results are named `name1`, `name2`, ….
    Errors: FormulaError if the formula leaves the language.
    """
    stem = checked_name(name)

    def apply(x: Variable) -> Variable:
        return define(Auto(stem), x.indices, formula(x[x.indices]))

    apply.__name__ = stem
    apply.__doc__ = formula.__doc__
    return apply

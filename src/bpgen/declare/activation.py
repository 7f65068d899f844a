"""`bp.activation`: a scalar formula becomes a layer that acts entry by entry."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from bpgen.declare.define import define
from bpgen.declare.given import checked_name
from bpgen.declare.variable import Auto, Variable

Options = ParamSpec("Options")
Operand = TypeVar("Operand")


def activation(
    formula: Callable[Concatenate[Any, Options], Any], *, name: str | None = None
) -> Callable[Concatenate[Operand, Options], Operand]:
    """Return the layer `y[I] = formula(x[I])` for a tensor of any rank.

    `formula` takes one entry, and options after it, and returns a formula of the entry; a function
    with a name of its own needs no `name`, so this is also a decorator. Results are named `name1`,
    `name2`, …. Given an entry instead of a tensor, the layer returns the formula itself:
    `z * sigmoid(z)`.
    Errors: FormulaError if the formula leaves the language.
    """
    stem = checked_name(name or formula.__name__)

    @functools.wraps(formula)
    def apply(x: Any, /, *args: Options.args, **options: Options.kwargs) -> Any:
        if not isinstance(x, Variable):
            return formula(x, *args, **options)
        return define(Auto(stem), x.indices, formula(x[x.indices], *args, **options))

    apply.__name__ = stem
    return apply

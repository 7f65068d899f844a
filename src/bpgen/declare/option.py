"""The numbers that a declaration takes besides formulas, each within its range."""

from __future__ import annotations

import math
import operator
from numbers import Real

import sympy

from bpgen.declare.variable import here
from bpgen.errors import OptionError

_HOLDS = {
    "above": operator.gt,
    "at_least": operator.ge,
    "below": operator.lt,
    "at_most": operator.le,
}


def option(what: str, value: float, **bounds: float) -> sympy.Rational:
    """Return `value`, exactly, if it is a number within `bounds`.

    `option("`rate`", rate, at_least=0, below=1)`: the bounds are `above`, `at_least`, `below` and
    `at_most`, and messages call the number `what`.
    Errors: OptionError if `value` breaks one of them, is not finite, or is not a number.
    """
    fits = isinstance(value, Real) and math.isfinite(value)
    if not fits or not all(_HOLDS[word](value, bound) for word, bound in bounds.items()):
        wanted = " and ".join(
            f"{word.replace('_', ' ')} {float(bound):g}" for word, bound in bounds.items()
        )
        raise OptionError(
            f"{what} is out of range",
            where=here(),
            disagree=f"it is {value!r}; it must be {wanted}",
            way_out=f"Give a number {wanted}.",
        )
    return decimal(value)


def decimal(value: float) -> sympy.Rational:
    """Return the fraction that a decimal stands for: 0.1 is 1/10, not the nearest binary number."""
    fraction: sympy.Rational = sympy.Rational(repr(float(value)))
    return fraction

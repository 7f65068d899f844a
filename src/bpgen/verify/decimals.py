"""Floating-point numbers of any precision, by mpmath: rounded, not enclosed."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from bpgen.verify.numbers import Array, Numbers, new_context, objects


class Decimals(Numbers):
    """Numbers of `digits` decimal digits, in a context of their own."""

    def __init__(self, digits: int) -> None:
        self.digits = digits
        self.name = f"{digits} digits"
        self._context = new_context()
        self._context.dps = digits

    def working(self) -> AbstractContextManager[object]:
        """Return an empty context: each number knows its precision."""
        return nullcontext()

    def array(self, values: Array) -> Array:
        """Return the values, exactly."""
        return objects(self._context.mpf, np.asarray(values))

    def constant(self, value: sympy.Expr) -> Array:
        """Return the constant to all digits."""
        return objects(self._constant, np.array([value], object))

    def _constant(self, value: sympy.Expr) -> Any:
        match value:
            case sympy.Rational():
                return self._context.mpf(value.p) / value.q
            case sympy.Float():
                return self._context.make_mpf(value._mpf_)
            case _:
                return self._context.mpf(str(value.evalf(round(self.digits) + 5)))

    def function(self, name: str, values: Array) -> Array:
        """Return mpmath's function, and no number outside its domain."""
        return objects(self._guarded(getattr(self._context, name)), values)

    def power(self, base: Array, exponent: Array | int) -> Array:
        """Return the power, and no number for a negative power of zero."""
        if isinstance(exponent, int):
            return objects(self._guarded(lambda b: b**exponent), base)
        return super().power(base, exponent)

    def _guarded(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def real(x: Any) -> Any:
            try:
                y = function(x)
            except (ZeroDivisionError, ValueError):
                return self._context.nan
            return y if isinstance(y, self._context.mpf) else self._context.nan

        return real

    def product(self, left: Array, right: Array) -> Array:
        """Return numpy's product of objects."""
        return np.asarray(np.matmul(left, right))

    def sign(self, values: Array) -> NDArray[np.int8]:
        """Return the sign; rounding is taken at its word."""
        return objects(lambda v: (v > 0) - (v < 0), values).astype(np.int8)

    def nearest(self, values: Array) -> NDArray[np.float64]:
        """Return the nearest floats."""
        return values.astype(np.float64)

    def bounds(self, value: Any) -> tuple[float, float]:
        """Return |value| twice: nothing is known of its error."""
        size = abs(float(value))
        return size, size


def bits_of(digits: float) -> int:
    """Return how many bits hold `digits` decimal digits."""
    return math.ceil(digits * math.log2(10))

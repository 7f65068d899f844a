"""The numbers a formula is read in: what an interpreter must know of them.

An array of numbers is a numpy array, native or of objects, so that indexing, broadcasting, sums and
products are numpy's for every kind. The rest is stated here: how an exact constant is made, the
functions, a matrix product, and the sign of a number, on which alone comparisons act.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import sympy
from mpmath.ctx_mp import MPContext
from numpy.typing import NDArray

Array = NDArray[Any]

# The sign of a number that its own error bound does not tell from zero.
UNDECIDED = 2


class Numbers(ABC):
    """One kind of number: what a report calls it, and how many decimal digits it carries."""

    name: str
    digits: float

    @abstractmethod
    def working(self) -> AbstractContextManager[object]:
        """Return the context in which these numbers are computed with."""

    @abstractmethod
    def array(self, values: Array) -> Array:
        """Return floats, integers or numbers of this kind as numbers of this kind, exactly."""

    @abstractmethod
    def constant(self, value: sympy.Expr) -> Array:
        """Return the number of a sympy constant, in an array of one entry."""

    @abstractmethod
    def function(self, name: str, values: Array) -> Array:
        """Return the function that sympy calls `name` of every entry."""

    @abstractmethod
    def product(self, left: Array, right: Array) -> Array:
        """Return the products of a stack of matrices with another."""

    @abstractmethod
    def sign(self, values: Array) -> NDArray[np.int8]:
        """Return -1, 0, 1 by the real part, or UNDECIDED."""

    @abstractmethod
    def nearest(self, values: Array) -> NDArray[np.float64]:
        """Return the float nearest to the real part of every entry."""

    @abstractmethod
    def bounds(self, value: Any) -> tuple[float, float]:
        """Return what |value| is at least, and at most."""

    def certain(self, values: Array) -> NDArray[np.float64]:
        """Return the nearest floats, and 0 for what its own error bound does not tell from 0."""
        return self.nearest(values)

    def power(self, base: Array, exponent: Array | int) -> Array:
        """Return `base ** exponent`: by multiplication for an integer, by exp and log otherwise."""
        if isinstance(exponent, int):
            return np.asarray(base**exponent)
        return self.function("exp", exponent * self.function("log", base))


class Native(Numbers):
    """A dtype of numpy: float32, float64, complex128."""

    def __init__(self, dtype: type[np.floating[Any] | np.complexfloating[Any, Any]]) -> None:
        self.dtype = np.dtype(dtype)
        self.name = self.dtype.name
        self.digits = -math.log10(float(np.finfo(self.dtype).eps))

    def working(self) -> AbstractContextManager[object]:
        """Let the branch of a choice that is not taken overflow in silence."""
        return np.errstate(all="ignore")

    def array(self, values: Array) -> Array:
        """Return the values rounded to the dtype."""
        return np.asarray(values).astype(self.dtype)

    def constant(self, value: sympy.Expr) -> Array:
        """Return the constant rounded to the dtype."""
        return np.array([complex(value) if self.dtype.kind == "c" else float(value)], self.dtype)

    def function(self, name: str, values: Array) -> Array:
        """Return numpy's function, and what numpy lacks, or loses digits of, by other means."""
        if name == "erf":
            if self.dtype.kind == "c":
                return _complex_erf(values)
            return objects(math.erf, values).astype(self.dtype)
        if name == "log1p" and self.dtype.kind == "c":
            return _complex_log1p(values)
        return np.asarray(getattr(np, _NUMPY.get(name, name))(values))

    def product(self, left: Array, right: Array) -> Array:
        """Return numpy's product, which is quick for matrices that lie in one piece."""
        return np.asarray(np.matmul(np.ascontiguousarray(left), np.ascontiguousarray(right)))

    def sign(self, values: Array) -> NDArray[np.int8]:
        """Return the sign of the real part; rounding is taken at its word."""
        return np.asarray(np.sign(values.real), np.int8)

    def nearest(self, values: Array) -> NDArray[np.float64]:
        """Return the real part."""
        return np.asarray(values.real, np.float64)

    def bounds(self, value: Any) -> tuple[float, float]:
        """Return |value| twice: nothing is known of its error."""
        return abs(value), abs(value)


class Extended(Native):
    """The widest floats of the machine: of 64 bits on x86, and no wider than float64 elsewhere."""

    def __init__(self) -> None:
        super().__init__(np.longdouble)
        self.name = "extended precision"

    def constant(self, value: sympy.Expr) -> Array:
        """Return the constant as the sum of two floats, which is exact to 32 digits."""
        high = super().constant(value)
        if not value.is_finite:
            return high
        low = (value - sympy.Rational(float(high[0]))).evalf()
        return np.asarray(high + super().constant(low))


# A context of mpmath (which has no annotations): numbers with a precision of their own.
new_context: Callable[[], Any] = MPContext


def objects(function: Callable[[Any], Any], values: Array) -> Array:
    """Return an object array of `function(entry)`, in the shape of `values`."""
    return filled(map(function, values.ravel().tolist()), values.shape)


def filled(entries: Iterable[Any], shape: tuple[int, ...]) -> Array:
    """Return an object array of `entries`; numpy never looks into them (a series has a length)."""
    return np.fromiter(entries, object, math.prod(shape)).reshape(shape)


def _complex_log1p(z: Array) -> Array:
    """Return log|1+z| + i arg(1+z); numpy's loses the digits of a small real part."""
    x, y = z.real, z.imag
    return np.asarray(np.log1p(2 * x + x**2 + y**2) / 2 + 1j * np.arctan2(y, 1 + x))


def _complex_erf(z: Array) -> Array:
    """Return erf of complex numbers: by a series near 0, where most are, and by mpmath elsewhere.

    Formula:
        erf z = 2/√π exp(-z²) Σ_n 2^n z^(2n+1) / (1·3·5 … (2n+1))

    Source: Abramowitz & Stegun 1964, Handbook of mathematical functions, eq. 7.1.6.
    """
    near = np.where(np.abs(z) < _NEAR, z, 0)
    square, term = 2 * near**2, near
    total, n = near, 0
    while np.any(np.abs(term.real) > np.finfo(float).eps * np.abs(total.real)):
        n += 1
        term = term * square / (2 * n + 1)
        total = total + term
    found = 2 / np.sqrt(np.pi) * np.exp(-square / 2) * total
    far = np.abs(z) >= _NEAR
    found[far] = objects(_far_erf, z[far]).astype(z.dtype)
    return np.asarray(found)


def _far_erf(z: complex) -> complex:
    context = new_context()
    context.prec = 150  # the imaginary part, of order 1e-20, must come out to 16 digits as well
    return complex(context.erf(z))


# Below it all terms of the series of erf for a real number are positive, and a hundred will do.
_NEAR = 5
_NUMPY = {"atan": "arctan"}

FLOAT32 = Native(np.float32)
FLOAT64 = Native(np.float64)
NATIVE = {"float32": FLOAT32, "float64": FLOAT64}
COMPLEX = Native(np.complex128)
EXTENDED = Extended()

"""Balls: numbers that carry a proved bound of their error, by flint; and series of balls.

A ball is a midpoint and a radius, and every operation returns a ball that holds the true result for
all numbers in the operands. What a ball excludes is therefore refuted, not just improbable. A
series `a + b t` holds a value and its derivative along a line, and its arithmetic is that of
truncated polynomials: no rule of differentiation of ours takes part. Longer series hold derivatives
of higher order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import flint
import numpy as np
import sympy
from flint import arb, arb_mat, arb_series
from numpy.typing import NDArray

from bpgen.errors import UndecidedError
from bpgen.verify.numbers import UNDECIDED, Array, Numbers, filled, objects


class Balls(Numbers):
    """Real balls with midpoints of `bits` bits."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.digits = bits / math.log2(10)
        self.name = f"balls of {bits} bits"

    def working(self) -> AbstractContextManager[object]:
        """Return the context with this precision; flint keeps it in a global."""
        return _precision(self.bits)

    def array(self, values: Array) -> Array:
        """Return the values, exactly; what is in balls already stays."""
        return values if values.dtype.kind == "O" else objects(arb, values)

    def constant(self, value: sympy.Expr) -> Array:
        """Return the smallest ball around the constant."""
        return filled([_enclosed(value)], (1,))

    def function(self, name: str, values: Array) -> Array:
        """Return the enclosure of the function."""
        return objects(getattr(arb, name), values)

    def power(self, base: Array, exponent: Array | int) -> Array:
        """Return the power; of a ball around 0 too, for which flint's own is no number."""
        if isinstance(exponent, int):
            return objects(lambda b: _by_squaring(b, exponent), base)
        return super().power(base, exponent)

    def product(self, left: Array, right: Array) -> Array:
        """Return the products, by flint's matrices: the same sums, enclosed."""
        return _products(left, right)

    def sign(self, values: Array) -> NDArray[np.int8]:
        """Return the sign where the ball proves it."""
        return objects(_sign, values).astype(np.int8)

    def nearest(self, values: Array) -> NDArray[np.float64]:
        """Return the midpoints as floats."""
        return objects(float, values).astype(np.float64)

    def certain(self, values: Array) -> NDArray[np.float64]:
        """Return the midpoints as floats, and 0 for a ball that contains 0."""
        return objects(lambda v: 0.0 if v.contains(0) else float(v), values).astype(np.float64)

    def bounds(self, value: Any) -> tuple[float, float]:
        """Return the proved bounds of |value|."""
        return float(value.abs_lower()), float(value.abs_upper())


class Series(Balls):
    """Series `a + b t + …` of balls, up to t^order."""

    def __init__(self, bits: int, order: int = 1) -> None:
        super().__init__(bits)
        self.order = order
        self.name = f"series of {self.name}"

    def working(self) -> AbstractContextManager[object]:
        """Return the context with this precision, in which series have this length."""
        return _precision(self.bits, self.order + 1)

    def array(self, values: Array) -> Array:
        """Return the values as constant series."""
        return objects(lambda v: arb_series([v]), np.asarray(values))

    def line(self, values: Array, direction: Array) -> Array:
        """Return `values + t direction`."""
        pairs = zip(values.ravel().tolist(), direction.ravel().tolist(), strict=True)
        return filled((arb_series([a, b]) for a, b in pairs), values.shape)

    def constant(self, value: sympy.Expr) -> Array:
        """Return the constant as a series."""
        return self.array(super().constant(value))

    def function(self, name: str, values: Array) -> Array:
        """Return the series of the function; those that flint lacks, by exp and log."""
        return objects(_COMPOSED.get(name) or getattr(arb_series, name), values)

    def power(self, base: Array, exponent: Array | int) -> Array:
        """Return the power, and no number for a negative power of zero."""
        if isinstance(exponent, int):
            return objects(lambda b: _power(b, exponent, self.order), base)
        return super().power(base, exponent)

    def product(self, left: Array, right: Array) -> Array:
        """Return the products, coefficient by coefficient: (a + bt)(c + dt) = ac + (ad + bc)t."""
        a, b = self._coefficients(left), self._coefficients(right)
        found = []
        for k in range(min(self.order + 1, len(a) + len(b) - 1)):
            pairs = [(i, k - i) for i in range(len(a)) if 0 <= k - i < len(b)]
            parts = [_products(a[i], b[j]) for i, j in pairs]
            found.append(sum(parts[1:], parts[0]))
        entries = zip(*(part.ravel().tolist() for part in found), strict=True)
        return filled(map(arb_series, map(list, entries)), found[0].shape)

    def sign(self, values: Array) -> NDArray[np.int8]:
        """Return the sign of the value; 0 only if the rest is 0 too: a tie that stays one."""
        return objects(lambda v: _series_sign(v, self.order), values).astype(np.int8)

    def nearest(self, values: Array) -> NDArray[np.float64]:
        """Return the midpoints of the values as floats."""
        return super().nearest(coefficient(values, 0))

    def _coefficients(self, values: Array) -> list[Array]:
        """Return the coefficients of all entries, as far as one of them is not 0."""
        length = max((len(s) for s in values.ravel().tolist()), default=1)
        return [coefficient(values, k) for k in range(max(1, length))]


@contextmanager
def _precision(bits: int, length: int = 2) -> Iterator[None]:
    cap = flint.ctx.cap
    with flint.ctx.workprec(bits):
        flint.ctx.cap = length
        try:
            yield
        finally:
            flint.ctx.cap = cap


def _enclosed(value: sympy.Expr) -> arb:
    match value:
        case sympy.Rational():
            return arb(flint.fmpq(value.p, value.q))
        case sympy.Float():
            sign, mantissa, exponent, _ = value._mpf_
            return arb((-int(mantissa) if sign else int(mantissa), int(exponent)))
        case sympy.pi:
            return arb.pi()
        case sympy.E:
            return arb.const_e()
        case sympy.nan:
            return arb.nan()
        case sympy.S.NegativeInfinity:
            return arb.neg_inf()
        case _:
            raise UndecidedError(f"no enclosure of the constant {value} is known")


def _sign(value: arb) -> int:
    if value > 0:
        return 1
    if value < 0:
        return -1
    return 0 if value.is_zero() else UNDECIDED


def _series_sign(value: arb_series, order: int) -> int:
    sign = _sign(value[0])
    moves = any(not value[k].is_zero() for k in range(1, order + 1))
    return UNDECIDED if sign == 0 and moves else sign


def _power(base: arb_series, exponent: int, order: int) -> arb_series:
    if exponent >= 0:  # flint's own is no number where the constant term may be 0
        power: arb_series = _by_squaring(base, exponent)
        return power
    if base[0].is_zero():  # flint's own is 0, or an error
        return arb_series([arb.nan()] * (order + 1))
    try:
        return base**exponent
    except ValueError:  # flint's word for a constant term that may be 0
        return arb_series([arb.nan()] * (order + 1))


def _by_squaring(base: Any, exponent: int) -> Any:
    """Return `base ** exponent` by multiplications."""
    if exponent < 0:
        return 1 / _by_squaring(base, -exponent)
    if exponent < 2:
        return base if exponent else arb(1)
    half = _by_squaring(base, exponent // 2)
    return half * half * base if exponent % 2 else half * half


def _products(left: Array, right: Array) -> Array:
    pairs = zip(left, right, strict=True)
    entries = (e for a, b in pairs for e in (_matrix(a) * _matrix(b)).entries())
    return filled(entries, (left.shape[0], left.shape[1], right.shape[2]))


def _matrix(rows: Array) -> arb_mat:
    return arb_mat(rows.shape[0], rows.shape[1], rows.ravel().tolist())


def coefficient(values: Array, k: int) -> Array:
    """Return the coefficient of t^k of every entry."""
    return objects(lambda s: s[k], values)


def _tanh(z: arb_series) -> arb_series:
    return 1 - 2 / ((2 * z).exp() + 1)


_COMPOSED: dict[str, Callable[[arb_series], arb_series]] = {
    "tanh": _tanh,
    "sinh": lambda z: (z.exp() - (-z).exp()) / 2,
    "cosh": lambda z: (z.exp() + (-z).exp()) / 2,
    "expm1": lambda z: z.exp() - 1,
    "log1p": lambda z: (1 + z).log(),
}

"""Finite-difference stencils, with weights solved from the Taylor conditions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy

from bpgen.verify.decimals import bits_of
from bpgen.verify.evidence import measure
from bpgen.verify.line import Base, Direction, Sample, sample, slope
from bpgen.verify.switch import crossed

ORDERS = (2, 4, 6, 8)
# A stencil across a switch is tried again with h / 2^4: some nets have a switch within 1e-5.
_SHRINK = 4
# Three digits for the rounding of the samples, whose weights are below 1.
_ABOVE_ROUNDING = 1e3


@cache
def weights(order: int) -> Mapping[int, sympy.Rational]:
    """Return the weights w of φ′(0) ≈ Σ_j w_j φ(jh) / h, central, with an error of `order` in h.

    Formula:
        Σ_j w_j j^k = δ(k, 1) for k = 0 … order, over j = -order/2 … order/2

    The conditions say that the Taylor series of φ at 0, put into the stencil, leaves φ′(0) and
    nothing below h^order. Their matrix is Vandermonde's, so that the solution is unique.
    """
    reach = range(-order // 2, order // 2 + 1)
    w = {j: sympy.Symbol(f"w{j}") for j in reach}
    conditions = [
        sympy.Eq(sympy.Add(*(w[j] * sympy.Integer(j) ** k for j in reach)), int(k == 1))
        for k in range(order + 1)
    ]
    solution = sympy.solve(conditions, list(w.values()))
    return {j: solution[w[j]] for j in reach if solution[w[j]] != 0}


@dataclass(frozen=True, slots=True)
class Stencil:
    """One finite difference: its weights for j = 1, 2, …, h = 2^-exponent, and the digits it shows.

    The weights for -j are the same with the other sign. `richardson` are the digits of
    (2^p D(h) - D(2h)) / (2^p - 1), where the leading errors cancel; None if 2h crosses a switch.
    """

    order: int
    weights: str
    exponent: int
    digits: float
    richardson: float | None = None

    @property
    def agrees(self) -> bool:
        """Whether it shows at least half of the digits that balancing both errors leaves.

        The other half is room for the unknown constants before both errors.
        """
        return self.digits >= self.exponent * math.log10(2) * self.order / 2


@dataclass(frozen=True, slots=True)
class Quotient:
    """A finite difference with h = 2^-exponent; `rounding` bounds what cancellation leaves."""

    order: int
    exponent: int
    value: Any
    rounding: float


def quotient(at: Base, direction: Direction, order: int, digits: int) -> Quotient:
    """Return the finite difference of φ along `direction`.

    The step balances both errors, truncation h^order and rounding 10^-digits / h; it shrinks
    further until no sample lies beyond a switch.
    """
    start = sample(at, direction, sympy.S.Zero)
    exponent = bits_of(digits) // (order + 1)
    for shrunk in range(exponent, exponent + 5 * _SHRINK, _SHRINK):
        samples = _samples(at, direction, order, shrunk)
        if not any(crossed(start.switches, s.switches) for s in samples.values()):
            break
    value = _weighted(at, order, samples, shrunk)
    rounding = _ABOVE_ROUNDING * 10.0**-digits * 2.0**shrunk * at.loss
    return Quotient(order, shrunk, value, rounding)


def _weighted(at: Base, order: int, samples: Mapping[int, Sample], exponent: int) -> Any:
    with at.numbers.working():
        parts = [at.numbers.constant(w)[0] * samples[j].value for j, w in weights(order).items()]
        return sum(parts) * 2**exponent


def extrapolated(at: Base, direction: Direction, fine: Quotient) -> Any | None:
    """Return Richardson's combination of `fine` and of twice its step; None across a switch."""
    start = sample(at, direction, sympy.S.Zero)
    samples = _samples(at, direction, fine.order, fine.exponent - 1)
    if any(crossed(start.switches, s.switches) for s in samples.values()):
        return None
    coarse = _weighted(at, fine.order, samples, fine.exponent - 1)
    with at.numbers.working():
        return (2**fine.order * fine.value - coarse) / (2**fine.order - 1)


def _samples(at: Base, direction: Direction, order: int, exponent: int) -> dict[int, Sample]:
    return {j: sample(at, direction, sympy.Rational(j, 2**exponent)) for j in weights(order)}


def stencils(at: Base, direction: Direction, digits: int) -> tuple[Stencil, ...]:
    """Return how many digits of g·v the finite difference of each order shows."""
    claimed = slope(at.gradient, direction, at.numbers)
    size = abs(float(claimed)) or measure(at)(direction)
    rows = []
    for order in ORDERS:
        found = quotient(at, direction, order, digits)
        better = extrapolated(at, direction, found)
        shown = _digits(found.value, claimed, size, at)
        more = None if better is None else _digits(better, claimed, size, at)
        forward = ", ".join(str(w) for j, w in weights(order).items() if j > 0)
        rows.append(Stencil(order, forward, found.exponent, shown, more))
    return tuple(rows)


def _digits(value: Any, claimed: Any, size: float, at: Base) -> float:
    with at.numbers.working():
        error = abs(float(value - claimed)) / size
    return -math.log10(error) if error else at.numbers.digits

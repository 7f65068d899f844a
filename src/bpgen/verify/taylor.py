"""Taylor remainders: a right gradient leaves h², a right gradient with its curvature h³.

    R0 = φ(h) - φ(0),  R1 = R0 - h g·v,  R2 = R1 - h²/2 v·Hv

with φ(h) = L(θ + h v). A wrong gradient leaves a part of R1 that falls as h only, whatever its
size: the slope of the smallest rows tells. This is done with 50 digits or more, where there is room
for such rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from bpgen.verify.decimals import bits_of
from bpgen.verify.line import Base, Direction, along, sample, slope
from bpgen.verify.switch import crossed

EXPONENTS = (10, 20, 30, 40, 50)
# A remainder counts while three digits of it are right: by the rounding of φ, and by its own error
# bound.
_ABOVE_ROUNDING = 1e3
# Slopes are 1, 2, 3 up to O(h); a wrong gradient brings R1 down to 1. The threshold is near to 2.
_RIGHT = 1.9


@dataclass(frozen=True, slots=True)
class Row:
    """One step h = 2^-exponent: remainders (None below rounding), and if a switch is crossed."""

    exponent: int
    remainders: tuple[float | None, float | None, float | None]
    crossed: bool


@dataclass(frozen=True, slots=True)
class Table:
    """The remainders from the largest step to the smallest, computed in `numbers`."""

    numbers: str
    rows: tuple[Row, ...]

    def slopes(self, order: int) -> tuple[float | None, ...]:
        """Return the slope of R_order between each row and the one before it."""
        pairs = zip(self.rows, self.rows[1:], strict=False)
        return (None, *(_slope(a, b, order) for a, b in pairs))

    def slope(self, order: int) -> float | None:
        """Return the slope of the last reliable pair; None if there is none."""
        return next((s for s in reversed(self.slopes(order)) if s is not None), None)

    def fitted(self, order: int) -> float | None:
        """Return the slope of a line through all reliable rows; None if there are not two."""
        rows = [(-r.exponent, r.remainders[order]) for r in self.rows if not r.crossed]
        seen = [(k, math.log2(size)) for k, size in rows if size]
        if len(seen) < 2:
            return None
        steps, sizes = np.array(seen).T
        steps = steps - steps.mean()
        return float(steps @ sizes / (steps @ steps))

    def is_exact(self, order: int) -> bool:
        """Whether R_order vanishes: the loss is linear (1) or quadratic (2) on the line."""
        return all(row.remainders[order] is None for row in self.rows)

    @property
    def agrees(self) -> bool:
        """Whether R1 falls as h² at least, as far as it can be seen."""
        found = self.slope(1)
        return found is None or found > _RIGHT


def remainders(at: Base, direction: Direction, curvature: Any = None) -> Table:
    """Return the table along `direction`; `curvature` is v·Hv, else the gradient is differenced."""
    start = sample(at, direction, sympy.S.Zero)
    first = slope(at.gradient, direction, at.numbers)
    second = _curvature(at, direction) if curvature is None else curvature
    rows = []
    for exponent in EXPONENTS:
        h = sympy.Rational(1, 2**exponent)
        there = sample(at, direction, h)
        with at.numbers.working():
            step = at.numbers.constant(h)[0]
            r0 = there.value - start.value
            r1 = r0 - step * first
            r2 = r1 - step * step * second / 2
        sizes = (_visible(r0, at), _visible(r1, at), _visible(r2, at))
        rows.append(Row(exponent, sizes, crossed(start.switches, there.switches)))
    return Table(at.numbers.name, tuple(rows))


def _visible(remainder: Any, at: Base) -> float | None:
    least, most = at.numbers.bounds(remainder)
    rounding = 10.0**-at.numbers.digits * at.loss
    return None if least <= _ABOVE_ROUNDING * max(rounding, most - least) else most


def _curvature(at: Base, direction: Direction) -> Any:
    """Return v·Hv as the central difference of g·v, with the step that leaves 2/3 of the digits."""
    h = sympy.Rational(1, 2 ** (bits_of(at.numbers.digits) // 3))
    ahead, behind = (_gradient_slope(at, direction, step) for step in (h, -h))
    with at.numbers.working():
        return (ahead - behind) / (2 * at.numbers.constant(h)[0])


def _gradient_slope(at: Base, direction: Direction, h: sympy.Rational) -> Any:
    known = at.problem.everything(along(at, direction, h), at.numbers)
    return slope(at.problem.gradient(known), direction, at.numbers)


def _slope(larger: Row, smaller: Row, order: int) -> float | None:
    a, b = larger.remainders[order], smaller.remainders[order]
    if a is None or b is None or larger.crossed or smaller.crossed:
        return None
    return math.log2(a / b) / (smaller.exponent - larger.exponent)

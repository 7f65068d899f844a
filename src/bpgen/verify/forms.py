"""Quadratic forms of second derivatives, by the formulas of the loss alone.

Twice the second Taylor coefficient of the loss along θ + t v is v·Hv. With z + t Jv in place of θ,
where J v is the first coefficient of z, it is v·Gv, that of Gauss and Newton. From the forms at v,
w and v + w follows w·Hv. No equation of a gradient or of a tangent is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bpgen.ir.tangent import Curvature
from bpgen.verify.balls import Series, coefficient
from bpgen.verify.evidence import AGREEMENT, Outcome
from bpgen.verify.interpret import evaluate
from bpgen.verify.line import Base, Direction, inner, slope
from bpgen.verify.numbers import Array
from bpgen.verify.problem import lifted
from bpgen.verify.switch import Switch

Watch = Callable[[Switch], None]
# Directions are multiples of it, so that the sum of two is exact.
_GRID = 2.0**-20


@dataclass(frozen=True, slots=True)
class Claim:
    """What two computations must agree on, and to how many digits they do."""

    what: str
    outcome: Outcome
    digits: float
    note: str = ""


def on_a_grid(direction: Direction) -> Direction:
    """Return the nearest direction whose sums with others are exact."""
    return {n: np.round(v / _GRID) * _GRID for n, v in direction.items()}


def taylor(
    at: Base, direction: Direction, order: int, watch: Watch = lambda switch: None
) -> list[Any]:
    """Return the Taylor coefficients of the loss along `direction`, enclosed, up to t^order."""
    series = Series(_bits(at), order)
    with series.working():
        moving = {n: series.line(at.known[n], _balls(at, v)) for n, v in direction.items()}
    still = lifted({n: v for n, v in at.frozen.items() if n not in moving}, series)
    value = at.problem.loss({**still, **moving}, series, watch)
    return [value[k] for k in range(order + 1)]


def claims(at: Base, curvature: Curvature, v: Direction, w: Direction) -> list[Claim]:
    """Compare the products of `curvature` at `at` along two directions with the quadratic forms."""
    Av, Aw = (product(at, curvature, direction) for direction in (v, w))
    both = {n: v[n] + w[n] for n in v}
    seen: list[Switch] = []
    of_v, of_w, of_both = (form(at, curvature, d, seen.append) for d in (v, w, both))
    name, line = ("G", "J") if curvature.at else ("H", "")
    size = max(_size(Av, v, at), _size(Aw, w, at), _size(Av, w, at)) or at.loss or 1.0
    numbers = at.numbers
    with numbers.working():
        mixed = (of_both - of_v - of_w) / 2
        vAv, wAv, vAw = (slope(*pair, numbers) for pair in ((Av, v), (Av, w), (Aw, v)))
        differences = {
            f"v·{name}v is the second derivative of the loss along {line}v": vAv - of_v,
            f"w·{name}v is that along {line}(v + w), less both, halved": wAv - mixed,
            f"w·{name}v = v·{name}w": wAv - vAw,
        }
    found = [claim(what, d, size, at) for what, d in differences.items()]
    if any(s.undecided for s in seen):
        found = [Claim(c.what, Outcome.UNDECIDED, 0.0, "a switch is near") for c in found]
    return [*found, _sign(vAv)] if curvature.at else found


def product(at: Base, curvature: Curvature, direction: Direction) -> Mapping[str, Array]:
    """Return the derived product with `direction`, by parameter."""
    along = {curvature.directions[n]: _balls(at, v) for n, v in direction.items()}
    values = {**at.frozen, **along}
    known = evaluate(curvature.network.equations, values, at.problem.extents, at.numbers)
    return {name: known[part] for name, part in curvature.parts.items()}


def form(at: Base, curvature: Curvature, direction: Direction, watch: Watch) -> Any:
    """Return v·Av, by the formulas of the loss and of what it is curved in."""
    moved = _jacobian(at, curvature.at, direction) if curvature.at else direction
    found = taylor(at, moved, 2, watch)[2]
    with at.numbers.working():
        return 2 * found


def _jacobian(at: Base, tensors: Iterable[str], direction: Direction) -> Mapping[str, Array]:
    """Return how `tensors` move along `direction`: their first Taylor coefficients."""
    series = Series(_bits(at))
    with series.working():
        moving = {n: series.line(at.known[n], _balls(at, v)) for n, v in direction.items()}
    still = lifted({n: v for n, v in at.frozen.items() if n not in moving}, series)
    known = evaluate(at.problem.forward, {**still, **moving}, at.problem.extents, series)
    return {name: coefficient(known[name], 1) for name in tensors}


def claim(what: str, difference: Any, size: float, at: Base) -> Claim:
    """Return what a difference that should be 0 shows, measured by `size`."""
    least, most = at.numbers.bounds(difference)
    digits = -float(np.log10(most / size)) if most else at.numbers.digits
    if least > 0:
        return Claim(what, Outcome.REFUTES, digits, f"they differ by {least:.1e}")
    agrees = most <= AGREEMENT * size
    return Claim(what, Outcome.AGREES if agrees else Outcome.UNDECIDED, digits)


def _sign(value: Any) -> Claim:
    """Say which sign v·Gv has; a negative one is no mistake: the loss is not convex."""
    what = f"v·Gv = {value.str(10)}"
    if value >= 0:
        return Claim(what, Outcome.AGREES, 0.0, "not negative, as for a loss that is convex in z")
    return Claim(what, Outcome.AGREES, 0.0, "negative: the loss is not convex in z")


def _bits(at: Base) -> int:
    return round(at.numbers.digits * math.log2(10))


def _size(product: Mapping[str, Array], direction: Direction, at: Base) -> float:
    """Return the largest part that a tensor has in a product of two vectors."""
    parts = [inner(product[n], _balls(at, v), at.numbers) for n, v in direction.items()]
    return max(at.numbers.bounds(part)[1] for part in parts)


def _balls(at: Base, values: Array) -> Array:
    with at.numbers.working():
        return at.numbers.array(values)

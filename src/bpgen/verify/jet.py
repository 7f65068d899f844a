"""The jet of the loss along a direction: its Taylor coefficients, proved, and what is derived.

    L(θ + t v) = c₀ + c₁ t + c₂ t² + …,  c₁ = g·v,  c₂ = v·Hv / 2,  c₃ = v·(∂Hv/∂ε) / 6

Left: series of balls, read off the forward formulas. Right: the derived gradient, its tangent, and
the tangent of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import factorial
from typing import Any

from bpgen.derive import tangent
from bpgen.ir.tangent import Curvature
from bpgen.verify.forms import Claim, claim, taylor
from bpgen.verify.interpret import evaluate
from bpgen.verify.line import Base, Direction, slope
from bpgen.verify.numbers import Array

_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One Taylor coefficient as an enclosure, and what is derived of it, if it is."""

    order: int
    enclosure: str
    claim: Claim | None = None


def jet(at: Base, hessian: Curvature, direction: Direction, order: int) -> tuple[Coefficient, ...]:
    """Return the coefficients up to t^order; those up to the third are compared."""
    found = taylor(at, direction, order)
    derived = dict(enumerate(_derived(at, hessian, direction, min(order, 3))))
    size = max(at.numbers.bounds(value)[1] for value in found) or 1.0
    return tuple(_row(k, value, derived.get(k), size, at) for k, value in enumerate(found))


def _row(k: int, value: Any, derived: tuple[str, Any] | None, size: float, at: Base) -> Coefficient:
    enclosure = value.str(_DIGITS)
    if derived is None:
        return Coefficient(k, enclosure)
    what, other = derived
    with at.numbers.working():
        difference = value - other
    return Coefficient(k, enclosure, claim(what, difference, size, at))


def _derived(
    at: Base, hessian: Curvature, direction: Direction, order: int
) -> Iterator[tuple[str, Any]]:
    """Yield the first coefficients as the derived equations give them."""
    numbers = at.numbers
    yield "the loss", at.known[at.problem.network.loss][()]
    if order >= 1:
        yield "g·v", slope(at.gradient, direction, numbers)
    if order >= 2:
        known, parts = _evaluated(at, hessian, direction, third=order >= 3)
        for k, names in enumerate(parts, 2):
            products = {n: known[name] for n, name in names.items()}
            with numbers.working():
                value = slope(products, direction, numbers) / factorial(k)
            yield ("v·Hv / 2", "v·(∂Hv/∂ε) / 6")[k - 2], value


def _evaluated(
    at: Base, hessian: Curvature, direction: Direction, *, third: bool
) -> tuple[dict[str, Array], list[dict[str, str]]]:
    """Return all tensors, and the names of Hv, and of its tangent, by parameter."""
    network, parts = hessian.network, [dict(hessian.parts)]
    if third:
        along = {n: network.tensors[v] for n, v in hessian.directions.items()}
        again = tangent(network, along, hessian.parts.values())
        network = again.network
        parts.append({n: again.tangents[part] for n, part in hessian.parts.items()})
    with at.numbers.working():
        given = {hessian.directions[n]: at.numbers.array(v) for n, v in direction.items()}
    values = {**at.frozen, **given}
    return evaluate(network.equations, values, at.problem.extents, at.numbers), parts

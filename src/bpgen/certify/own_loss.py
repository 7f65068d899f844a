"""A module's gradient against its own loss, by three means that ask nothing but the module."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from bpgen.execute.probe import Probe
from bpgen.verify.complex_step import SIGNIFICANT, STEP
from bpgen.verify.evidence import Outcome
from bpgen.verify.integral import integral
from bpgen.verify.line import Direction, unit
from bpgen.verify.numbers import Array

Seen = tuple[str, str, bool | None]
_EXPONENTS = range(4, 22, 2)
# A slope is seen between two remainders that are both this far above the rounding of the loss.
_ABOVE_ROUNDING = 30
# Remainders of a right gradient fall as h²; of a wrong one as h. A kink between two of them shows
# as neither.
_RIGHT, _WRONG = 1.9, 1.1
_REACH = 2.0**-4
_FAULTS = (ArithmeticError, AttributeError, TypeError, ValueError)


def own_loss(
    probe: Probe,
    params: dict[str, Array],
    batch: Mapping[str, Array],
    way: Direction,
    *,
    loss: str,
    limits: Mapping[str, float],
) -> Iterator[Seen]:
    """Yield what Taylor remainders, the complex step and the line integral say, in float64.

    `loss` is the name of the loss in the module's memory, `limits` what rounding explains of it and
    of each slope.
    """
    short = unit(way)
    yield _taylor(probe, params, batch, short, rounding=limits["loss"])
    yield _complex_step(probe, params, batch, short, loss)
    found = integral(
        "float64",
        lambda p: probe.gradient(p, batch),
        params,
        short,
        pieces=[(-_REACH, _REACH)],
        dtype="float64",
        slack=sum(limits.values()) + limits["loss"],
    )
    yield "integral", str(found), found.outcome is Outcome.AGREES


def _moved(params: Mapping[str, Array], way: Direction, step: complex) -> dict[str, Array]:
    return {n: v + step * way[n] for n, v in params.items()}


def _terms(gradient: Mapping[str, Array], way: Direction) -> tuple[float, float]:
    """Return g·v, and the size of its terms."""
    products = [gradient[n] * v for n, v in way.items()]
    return sum(float(p.sum()) for p in products), sum(float(np.abs(p).sum()) for p in products)


def _taylor(
    probe: Probe,
    params: Mapping[str, Array],
    batch: Mapping[str, Array],
    way: Direction,
    *,
    rounding: float,
) -> Seen:
    start, gradient = probe.gradient(params, batch)
    slope, _ = _terms(gradient, way)
    remainders = []
    for k in _EXPONENTS:
        h = 2.0**-k
        there = probe.gradient(_moved(params, way, h), batch)[0]
        remainders.append((k, abs(there - start - h * slope)))
    visible = [(k, r) for k, r in remainders if r > _ABOVE_ROUNDING * rounding]
    if len(visible) < 2:
        return "Taylor", "R1 is below rounding: the loss is linear here", None
    (k1, r1), (k2, r2) = visible[-2:]
    order = math.log2(r1 / r2) / (k2 - k1)
    wrong = order < _WRONG
    return "Taylor", f"R1 falls as h^{order:.3f}", False if wrong else (order > _RIGHT or None)


def _complex_step(
    probe: Probe,
    params: Mapping[str, Array],
    batch: Mapping[str, Array],
    way: Direction,
    loss: str,
) -> Seen:
    """Run the module on complex parameters; a function that is not analytic says nothing."""
    claimed, size = _terms(probe.gradient(params, batch)[1], way)
    try:
        inside = Probe(probe.net, probe.noise, "complex128").inside(
            _moved(params, way, 1j * STEP), batch, {loss: ()}, {}
        )
    except _FAULTS as error:
        return "complex", f"the module does not run on complex numbers: {error}", None
    found = float(np.imag(inside[loss])) / STEP
    gap = abs(found - claimed) / (size or 1.0)
    digits = -math.log10(gap) if gap else 16.0
    is_right = True if gap < SIGNIFICANT else None
    return "complex", f"step i {STEP:.0e}: {digits:.1f} digits", is_right

"""Emitted code against the formulas: its gradient, tensor by tensor, as it ships.

The truth is the derived gradient in balls (or in more digits than the code has), at values that
float32 holds exactly. How
much an honest program may err is measured, not guessed: the interpreter itself computes the
gradient in the same dtype, and an emitted program, which sums in another order, may err a small
multiple of that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bpgen.verify.evidence import Outcome
from bpgen.verify.line import Base, base
from bpgen.verify.numbers import FLOAT32, FLOAT64, Array, Native, Numbers
from bpgen.verify.points import Point, is_clear
from bpgen.verify.problem import lifted

Gradient = Callable[[Mapping[str, Array], Mapping[str, Array]], tuple[float, Mapping[str, Array]]]
_NUMBERS = {"float32": FLOAT32, "float64": FLOAT64}
# The order of a sum changes its rounding error by about this much (pairwise, blocked, in sequence).
_OTHER_ORDER = 16
# Four standard deviations of a random walk whose steps are half a unit in the last place.
_WALK = 2
_LOSS = "the loss"


@dataclass(frozen=True, slots=True)
class Emitted:
    """An emitted gradient function: `label` names it, `dtype` is that of its arrays."""

    label: str
    dtype: str
    gradient: Gradient


@dataclass(frozen=True, slots=True)
class Comparison:
    """How an emitted gradient compares: its largest relative error, where, and the fault."""

    label: str
    outcome: Outcome
    error: float
    worst: str
    fault: str = ""


def compare(emitted: Emitted, at: Base, point: Point) -> Comparison:
    """Run `emitted` at `point`, and compare its result with the derived one, which `at` holds."""
    numbers = _NUMBERS[emitted.dtype]
    loss, gradient = emitted.gradient(*_arguments(at, point.values, numbers))
    fault = _misshapen(gradient, at, emitted.dtype)
    if fault:
        return Comparison(emitted.label, Outcome.REFUTES, math.inf, "", fault)
    true = _as_floats({**at.gradient, _LOSS: at.known[at.problem.network.loss]}, at.numbers)
    found = {
        **{n: np.asarray(gradient[n], np.float64) for n in at.gradient},
        _LOSS: np.asarray(loss),
    }
    errors = {n: float(np.abs(found[n] - true[n]).max()) for n in true}
    relative = {n: errors[n] / size for n in true if (size := float(np.abs(true[n]).max()))}
    worst = max(relative, key=lambda n: relative[n])
    limits = _limits(at, point, true, numbers)
    beyond = [n for n in true if errors[n] > limits[n]]
    if not beyond:
        return Comparison(emitted.label, Outcome.AGREES, relative[worst], worst)
    outcome = Outcome.REFUTES if is_clear(at.problem, point) else Outcome.UNDECIDED
    name = beyond[0]
    fault = f"{name} is off by {errors[name]:.1e}; rounding explains {limits[name]:.1e}"
    return Comparison(emitted.label, outcome, relative[worst], worst, fault)


def _arguments(
    at: Base, values: Mapping[str, Array], numbers: Native
) -> tuple[dict[str, Array], dict[str, Array]]:
    given = lifted(values, numbers)
    names = {p.name for p in at.problem.parameters}
    batch = {n: v for n, v in given.items() if n not in names}
    return {p.name: given[p.name] for p in at.problem.parameters}, batch


def _misshapen(gradient: Mapping[str, Array], at: Base, dtype: str) -> str:
    """Say which gradient is missing, not finite, or of another dtype or shape than wanted."""
    for parameter in at.problem.parameters:
        name, shape = parameter.name, at.problem.shape(parameter)
        found = gradient.get(name)
        if found is None:
            return f"no gradient of {name}"
        if found.dtype != np.dtype(dtype):
            return f"the gradient of {name} is {found.dtype}: somewhere {dtype} was left"
        if found.shape != shape:
            return f"the gradient of {name} has shape {found.shape}; {name} has {shape}"
        if not np.isfinite(found).all():
            return f"the gradient of {name} is not finite"
    return ""


def _limits(at: Base, point: Point, true: Mapping[str, Array], numbers: Native) -> dict[str, float]:
    """Return how far an honest program may be from the truth, tensor by tensor.

    It errs as the formulas do when they are read in the same dtype, times what the order of a sum
    can do; and by a random walk of its roundings, in case the reading was lucky.
    """
    reading = base(at.problem, point, numbers)
    same = {**reading.gradient, _LOSS: reading.known[at.problem.network.loss]}
    walk = _WALK * 10.0**-numbers.digits * math.sqrt(_roundings(at))
    largest = max(float(np.abs(t).max()) for n, t in true.items() if n != _LOSS)
    vanishing = largest * 10.0**-numbers.digits
    limits = {}
    for name, truth in true.items():
        size = float(np.abs(truth).max())
        read = float(np.abs(same[name].astype(np.float64) - truth).max())
        limits[name] = _OTHER_ORDER * read + walk * (size if size > vanishing else largest)
    return limits


def _roundings(at: Base) -> int:
    """Return how many roundings a number can pass: the longest sum of every equation."""
    equations = at.problem.derivation.network.equations
    sums = (
        max(math.prod(at.problem.extents[i.extent] for i in t.over) for t in e.terms)
        for e in equations
    )
    return sum(1 + length for length in sums)


def _as_floats(values: Mapping[str, Array], numbers: Numbers) -> dict[str, Array]:
    return {n: numbers.nearest(v) for n, v in values.items()}

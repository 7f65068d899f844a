"""Emitted code against the formulas: its gradient, tensor by tensor, as it ships.

The truth is the derived gradient in balls (or in more digits than the code has), at values that
float32 holds exactly; `rounding` says how much an honest program may err.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from bpgen.verify.evidence import Outcome
from bpgen.verify.line import Base
from bpgen.verify.numbers import NATIVE, Array, Native
from bpgen.verify.points import Point, is_clear
from bpgen.verify.problem import lifted
from bpgen.verify.rounding import distance, limits

Gradient = Callable[[Mapping[str, Array], Mapping[str, Array]], tuple[float, Mapping[str, Array]]]
Drift = Callable[[Mapping[str, Array], Mapping[str, Array]], str]
_LOSS = "the loss"


def _keeps_its_dtype(params: Mapping[str, Array], batch: Mapping[str, Array]) -> str:
    del params, batch
    return ""


@dataclass(frozen=True, slots=True)
class Emitted:
    """An emitted gradient function: `label` names it, `dtype` is that of its arrays.

    `drift` says, for parameters and a batch, which statement leaves the dtype; "" if none does.
    """

    label: str
    dtype: str
    gradient: Gradient
    drift: Drift = _keeps_its_dtype


@dataclass(frozen=True, slots=True)
class Comparison:
    """How an emitted gradient compares: its largest relative error, where, and the fault.

    `digits` says of every tensor how many it has right, measured by its largest entry.
    """

    label: str
    outcome: Outcome
    error: float
    worst: str
    fault: str = ""
    digits: Mapping[str, float] = field(default_factory=dict)


def compare(emitted: Emitted, at: Base, point: Point) -> Comparison:
    """Run `emitted` at `point`, and compare its result with the derived one, which `at` holds."""
    numbers = NATIVE[emitted.dtype]
    given = _arguments(at, point.values, numbers)
    loss, gradient = emitted.gradient(*given)
    fault = _misshapen(gradient, at, emitted.dtype) or _drifted(emitted, given)
    if fault:
        return Comparison(emitted.label, Outcome.REFUTES, math.inf, "", fault)
    names = {n: at.problem.derivation.gradient_of(n) for n in at.gradient}
    names[_LOSS] = at.problem.network.loss
    true = {tensor: at.numbers.nearest(at.known[tensor]) for tensor in names.values()}
    found = {n: np.asarray(gradient[n], np.float64) for n in at.gradient}
    found[_LOSS] = np.asarray(loss)
    errors = {n: distance(found[n], true[tensor]) for n, tensor in names.items()}
    sizes = {n: float(np.abs(true[tensor]).max()) for n, tensor in names.items()}
    relative = {n: errors[n] / size for n, size in sizes.items() if size}
    worst = max(relative, key=lambda n: relative[n])
    digits = {n: -math.log10(e) if e else numbers.digits for n, e in relative.items()}
    allowed = limits(at, point, true, numbers)
    beyond = [n for n, tensor in names.items() if errors[n] > allowed[tensor]]
    if not beyond:
        return Comparison(emitted.label, Outcome.AGREES, relative[worst], worst, digits=digits)
    outcome = Outcome.REFUTES if is_clear(at.problem, point) else Outcome.UNDECIDED
    name = beyond[0]
    fault = f"{name} is off by {errors[name]:.1e}; rounding explains {allowed[names[name]]:.1e}"
    return Comparison(emitted.label, outcome, relative[worst], worst, fault, digits)


def _drifted(emitted: Emitted, given: tuple[dict[str, Array], dict[str, Array]]) -> str:
    drift = emitted.drift(*given)
    return f"{emitted.dtype} is left: {drift}" if drift else ""


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

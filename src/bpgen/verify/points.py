"""Where a gradient is tested: at generic points, and where training starts.

Every value is a float32, so that float32 code, float64 code and 50 digits are asked the same
question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bpgen.errors import UndecidedError
from bpgen.ir.tensor import GIVEN, Init, Noise, Role, Tensor
from bpgen.verify.numbers import FLOAT32, FLOAT64, Array, Numbers
from bpgen.verify.problem import Problem, lifted
from bpgen.verify.switch import Switch

# How many generic points are drawn in search of one that lies clear of all switches.
_DRAWS = 16
# A float32 program may round in another order: its errors may be this many times the formulas'.
_OTHER_ORDER = 16


@dataclass(frozen=True, slots=True)
class Point:
    """The values of everything that is given: parameters, inputs, labels, noise."""

    name: str
    values: Mapping[str, Array]

    def moved(self, towards: Point, step: float) -> Point:
        """Return the point a small step towards another one: off the switches it lies on."""
        values = {
            n: v if v.dtype.kind == "i" else _single(v + step * (towards.values[n] - v))
            for n, v in self.values.items()
        }
        return Point(f"{self.name}, moved by {step}", values)


def generic(problem: Problem, rng: np.random.Generator) -> Point:
    """Return a point where no entry is special: weights of their usual size, no bias zero.

    Of several draws it is the first at which float32 is sure of every choice. Inputs are drawn from
    (0, 1) if the loss is not finite for normal ones (a logarithm of data).
    Errors: UndecidedError if the loss is finite at none of them.
    """
    finite: list[Point] = []
    for draw in range(_DRAWS):
        positive = not finite and draw % 2 == 1
        point = Point("generic", _drawn(problem, rng, spread=True, positive=positive))
        if np.isfinite(problem.loss(lifted(point.values, FLOAT64), FLOAT64)):
            finite.append(point)
            if is_clear(problem, point):
                return point
    if not finite:
        raise UndecidedError(f"the loss is not finite at {_DRAWS} points drawn at random")
    return finite[-1]


def initial(problem: Problem, near: Point, rng: np.random.Generator) -> Point:
    """Return the point where training starts, with the inputs, labels and noise of `near`."""
    start = _drawn(problem, rng, spread=False, positive=False)
    names = {t.name for t in problem.network.tensors.values() if t.init is not None}
    return Point("initial", {n: start[n] if n in names else v for n, v in near.values.items()})


def is_clear(problem: Problem, point: Point) -> bool:
    """Whether rounding to float32, in any order of operations, leaves every choice as it is."""
    single, double = (_differences(problem, point, n) for n in (FLOAT32, FLOAT64))
    return all(
        s.nearest > _OTHER_ORDER * _rounding(s.distances, d.distances)
        and np.array_equal(s.signs, d.signs)
        for s, d in zip(single, double, strict=True)
    )


def _rounding(single: NDArray[np.float64], double: NDArray[np.float64]) -> float:
    """Return how far rounding moves a finite distance at most."""
    finite = np.isfinite(double)
    return float(np.abs(single[finite] - double[finite]).max(initial=0))


def _differences(problem: Problem, point: Point, numbers: Numbers) -> list[Switch]:
    seen: list[Switch] = []
    problem.loss(lifted(point.values, numbers), numbers, seen.append)
    return seen


def _drawn(
    problem: Problem, rng: np.random.Generator, *, spread: bool, positive: bool
) -> dict[str, Array]:
    given = (t for t in problem.network.tensors.values() if t.role in GIVEN)
    return {t.name: _given(t, problem, rng, spread=spread, positive=positive) for t in given}


def _given(
    tensor: Tensor, problem: Problem, rng: np.random.Generator, *, spread: bool, positive: bool
) -> Array:
    shape = problem.shape(tensor)
    if tensor.role is Role.TABLE:
        return np.reshape(tensor.values, shape)
    if tensor.below is not None:
        return rng.integers(0, tensor.below, shape)
    if tensor.noise is not None:
        return _noise(tensor.noise, shape, rng)
    if tensor.init is not None:
        scale = problem.number(tensor.init.scale)
        draw = _around if spread else _exactly
        return _single(draw(tensor.init, scale, shape, rng))
    return _single(rng.uniform(0, 1, shape) if positive else rng.normal(size=shape))


def _noise(noise: Noise, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    match noise.law:
        case "bernoulli":
            return (rng.uniform(size=shape) < noise.rate).astype(np.float64)
        case "uniform":
            return _single(rng.uniform(size=shape))
        case _:
            return _single(rng.normal(size=shape))


def _exactly(init: Init, scale: float, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    match init.law:
        case "constant":
            return np.full(shape, scale)
        case "uniform":
            return rng.uniform(-scale, scale, shape)
        case "orthogonal":
            tall = rng.normal(size=(max(shape), min(shape)))
            q = np.linalg.qr(tall)[0]
            return np.asarray(scale * (q if q.shape == shape else q.T))
        case _:
            return np.asarray(scale * rng.normal(size=shape))


def _around(init: Init, scale: float, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw with the standard deviation of the law; around a constant, far enough to leave it."""
    noise = rng.normal(size=shape)
    match init.law:
        case "constant":
            return np.asarray(scale + noise / 2)
        case "uniform":
            return np.asarray(scale * noise / np.sqrt(3))
        case "orthogonal":
            return np.asarray(scale * noise / np.sqrt(max(shape)))
        case _:
            return np.asarray(scale * noise)


def _single(values: Array) -> Array:
    """Round to float32, in the width of float64."""
    return np.asarray(values, np.float32).astype(np.float64)

"""Where a gradient is tested: at generic points, and where training starts.

Every value is a float32, so that float32 code, float64 code and 50 digits are asked the same
question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bpgen.errors import UndecidedError
from bpgen.ir.tensor import GIVEN, Role, Tensor
from bpgen.verify.draws import Draw, draw_of, drawn, single, spread_of, start_of
from bpgen.verify.numbers import FLOAT32, FLOAT64, Array, Numbers
from bpgen.verify.problem import Problem, lifted
from bpgen.verify.switch import Switch

# How many generic points are drawn in search of one that lies clear of all switches.
_DRAWS = 16
# Steps of descent after which weights are no longer as they were drawn, and how often one is cut.
_STEPS = 8
_HALVINGS = 16
# A float32 program may round in another order: its errors may be this many times the formulas'.
_OTHER_ORDER = 16


@dataclass(frozen=True, slots=True)
class Point:
    """The values of everything that is given: parameters, inputs, labels, noise.

    `draws` are how they came about; a point that was moved, or trained, has none.
    """

    name: str
    values: Mapping[str, Array]
    draws: tuple[Draw, ...] = ()

    def moved(self, towards: Point, step: float) -> Point:
        """Return the point a small step towards another one: off the switches it lies on."""
        values = {
            n: v if v.dtype.kind == "i" else single(v + step * (towards.values[n] - v))
            for n, v in self.values.items()
        }
        return Point(f"{self.name}, moved by {step} off a switch", values)


def generic(problem: Problem, rng: np.random.Generator, width: float = 1.0) -> Point:
    """Return a point where no entry is special: weights of their usual size, no bias zero.

    Everything normal is drawn `width` times as wide.

    Of several draws it is the first at which float32 is sure of every choice. Inputs are drawn from
    (0, 1) if the loss is not finite for normal ones (a logarithm of data).
    Errors: UndecidedError if the loss is finite at none of them.
    """
    finite: list[Point] = []
    for draw in range(_DRAWS):
        positive = not finite and draw % 2 == 1
        usual = _drawn(problem, rng, spread=True, positive=positive)
        draws = tuple(d.wider(width) for d in usual)
        point = _point(problem, "generic", draws)
        if np.isfinite(problem.loss(lifted(point.values, FLOAT64), FLOAT64)):
            finite.append(point)
            if is_clear(problem, point):
                return point
    if not finite:
        raise UndecidedError(f"the loss is not finite at {_DRAWS} points drawn at random")
    return finite[-1]


def initial(problem: Problem, near: Point, rng: np.random.Generator) -> Point:
    """Return the point where training starts, with inputs, labels and noise drawn as `near`'s are.

    They are drawn anew: a position that one batch ignores, or never chooses, counts in another.
    """
    start = _drawn(problem, rng, spread=False, positive=False)
    names = {t.name for t in problem.network.tensors.values() if t.init is not None}
    both = zip(start, near.draws, strict=True)
    draws = (s if s.name in names else replace(n, seed=s.seed) for s, n in both)
    return _point(problem, "initial", tuple(draws))


def trained(problem: Problem, start: Point, steps: int = _STEPS) -> Point:
    """Return the point after some steps of gradient descent from `start`, rounded to float32.

    A step goes as far as the loss falls by half of what its slope promises, or less.
    """
    values = dict(start.values)
    names = [p.name for p in problem.parameters]
    for _ in range(steps):
        known = problem.everything(lifted(values, FLOAT64), FLOAT64)
        gradient = problem.gradient(known)
        loss = float(known[problem.network.loss])
        slope = sum(float(np.sum(g**2)) for g in gradient.values())
        length = abs(loss) / slope if slope else 0.0
        for _ in range(_HALVINGS):
            there = {n: single(values[n] - length * gradient[n]) for n in names}
            found = float(problem.loss(lifted({**values, **there}, FLOAT64), FLOAT64))
            if found <= loss - length * slope / 2:
                values |= there
                break
            length /= 4
    return Point(f"after {steps} steps of training", values)


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
) -> tuple[Draw, ...]:
    given = (t for t in problem.network.tensors.values() if t.role in GIVEN - {Role.TABLE})
    return tuple(_draw(t, problem, rng, spread=spread, positive=positive) for t in given)


def _draw(
    tensor: Tensor, problem: Problem, rng: np.random.Generator, *, spread: bool, positive: bool
) -> Draw:
    shape, seed = problem.shape(tensor), int(rng.integers(2**63))
    if tensor.init is None or tensor.below is not None or tensor.noise is not None:
        return draw_of(tensor, shape, seed, positive=positive)
    how = spread_of if spread else start_of
    return how(tensor, tensor.init, shape, seed, problem.number(tensor.init.scale))


def _point(problem: Problem, name: str, draws: tuple[Draw, ...]) -> Point:
    tables = problem.network.of_role(Role.TABLE)
    values = {t.name: np.reshape(t.values, problem.shape(t)) for t in tables}
    return Point(name, {**values, **drawn(draws)}, draws)

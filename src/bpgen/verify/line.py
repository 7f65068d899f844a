"""The loss along a line: φ(h) = L(θ + h v), with held tensors at their value for h = 0.

A direction may move parameters, and tensors that an equation defines: such a tensor is perturbed
where it stands, its equation is not read, and the derivative is its cotangent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from bpgen.ir.tensor import Tensor
from bpgen.verify.interpret import Values
from bpgen.verify.numbers import Array, Numbers
from bpgen.verify.points import Point
from bpgen.verify.problem import Problem, lifted
from bpgen.verify.switch import Switch

Direction = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Base:
    """Everything at one point in one kind of numbers: what is given, and all tensors."""

    problem: Problem
    numbers: Numbers
    given: Values
    known: Values

    @property
    def frozen(self) -> dict[str, Array]:
        """Return what a line starts from: the given and the held."""
        return {**self.given, **{t.name: self.known[t.name] for t in self.problem.held}}

    @property
    def loss(self) -> float:
        """Return the size of the loss."""
        return abs(complex(self.known[self.problem.network.loss][()]))

    @property
    def gradient(self) -> dict[str, Array]:
        """Return the derived gradient."""
        return self.cotangents(p.name for p in self.problem.parameters)

    def cotangents(self, names: Iterable[str]) -> dict[str, Array]:
        """Return the derived cotangents of the tensors `names`."""
        return {n: self.known[self.problem.derivation.gradient_of(n)] for n in names}


@dataclass(frozen=True, slots=True)
class Sample:
    """One value on a line, and the switches as they stood."""

    value: Any
    switches: tuple[Switch, ...]


def base(problem: Problem, point: Point, numbers: Numbers) -> Base:
    """Evaluate everything at `point`."""
    given = lifted(point.values, numbers)
    return Base(problem, numbers, given, problem.everything(given, numbers))


def gaussian(
    problem: Problem, tensors: Iterable[Tensor], rng: np.random.Generator
) -> dict[str, Array]:
    """Return a random direction over `tensors`: normal entries, each tensor of expected length 1.

    With normal entries the chance that an error hides (is orthogonal to the direction) is known
    exactly.
    """
    shapes = {t.name: problem.shape(t) for t in tensors}
    return {n: rng.normal(size=s) / np.sqrt(np.prod(s)) for n, s in shapes.items()}


def unit(direction: Direction) -> dict[str, Array]:
    """Return a direction over tensors of length 1 each, with length 1 as a whole."""
    return {n: v / np.sqrt(len(direction)) for n, v in direction.items()}


def along(at: Base, direction: Direction, h: sympy.Expr) -> dict[str, Array]:
    """Return what is given and held at θ + h v."""
    with at.numbers.working():
        step = at.numbers.constant(h)
        moved = {
            n: (at.known[n] + step * at.numbers.array(v)).reshape(v.shape)
            for n, v in direction.items()
        }
    return {**at.frozen, **moved}


def sample(at: Base, direction: Direction, h: sympy.Expr) -> Sample:
    """Return φ(h)."""
    seen: list[Switch] = []
    value = at.problem.loss(along(at, direction, h), at.numbers, seen.append)
    return Sample(value, tuple(seen))


def slope(gradient: Values, direction: Direction, numbers: Numbers) -> Any:
    """Return Σ g · v, the derivative that a gradient claims for a direction."""
    with numbers.working():
        return sum(inner(gradient[n], numbers.array(v), numbers) for n, v in direction.items())


def inner(a: Array, b: Array, numbers: Numbers) -> Any:
    """Return the sum of the products of entries."""
    return numbers.product(a.reshape(1, 1, -1), b.reshape(1, -1, 1))[0, 0, 0]

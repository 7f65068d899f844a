"""An emitted module, buffer by buffer: the first equation that its memory contradicts.

A wrong gradient is the end of the story; its beginning is the first buffer, in the order of the
equations, that does not hold what the equation says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from bpgen.ir.equation import Equation
from bpgen.spell import FormulaSpeller, order_of
from bpgen.verify.line import Base
from bpgen.verify.numbers import FLOAT64, Array
from bpgen.verify.points import Point
from bpgen.verify.rounding import distance, limits


@dataclass(frozen=True, slots=True)
class Fault:
    """The first equation that a module gets wrong: its formula, by how much, what rounding does."""

    tensor: str
    formula: str
    relative: float
    limit: float

    def __str__(self) -> str:
        off = f"off by {self.relative:.1e} of its size; rounding explains {self.limit:.1e}"
        return f"{self.formula}   is {off}"


@dataclass(frozen=True, slots=True)
class Truth:
    """What every real tensor holds at a point; by how much rounding in float64 may change it."""

    at: Base
    values: Mapping[str, Array]
    limits: Mapping[str, float]

    @classmethod
    def of(cls, at: Base, point: Point) -> Truth:
        """Return the truth at `point`, of which `at` holds everything."""
        names = [e.out.name for e in at.problem.derivation.network.equations]
        known = {n: at.known[n] for n in names if at.known[n].dtype.kind != "i"}
        values = {n: at.numbers.nearest(value) for n, value in known.items()}
        return cls(at, values, limits(at, point, values, FLOAT64))

    def right(self, inside: Mapping[str, Array]) -> frozenset[str]:
        """Return the tensors of which the memory `inside` of a module is right."""
        return frozenset(n for n in self.values if n in inside and not self._is_off(n, inside[n]))

    def first_fault(self, inside: Mapping[str, Array], among: Collection[str]) -> Fault | None:
        """Return the first equation of those `among` that the memory `inside` contradicts."""
        for equation in self.at.problem.derivation.network.equations:
            name = equation.out.name
            if name in among and name in inside and self._is_off(name, inside[name]):
                size = float(np.abs(self.values[name]).max(initial=0)) or 1.0
                off = _gap(inside[name], self.values[name])
                text = formula(equation, self.at)
                return Fault(name, text, off / size, self.limits[name] / size)
        return None

    def _is_off(self, name: str, found: Array) -> bool:
        return not _gap(found, self.values[name]) <= self.limits[name]


def formula(equation: Equation, at: Base) -> str:
    """Return the equation as the emitted file states it."""
    tensors = at.problem.derivation.network.tensors
    return FormulaSpeller(order_of(tensors.values())).equation(equation)


def _gap(found: Array, true: Array) -> float:
    if found.shape != true.shape:
        return float("inf")
    return distance(np.asarray(found, np.float64), true)

"""An emitted module, buffer by buffer: the first equation that its memory contradicts.

A wrong gradient is the end of the story; its beginning is the first buffer, in the order of the
equations, that does not hold what the equation says.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def first_fault(
    inside: Mapping[str, Array], at: Base, point: Point, *, sound: Mapping[str, Array]
) -> Fault | None:
    """Return the first equation that the memory `inside` of a module contradicts, or None.

    `sound` is the memory of the module as it is emitted now: a buffer that this one reuses before
    the end says nothing. All of it is computed in float64.
    """
    equations = at.problem.derivation.network.equations
    names = [e.out.name for e in equations if e.out.name in inside and e.out.name in sound]
    true = {n: at.numbers.nearest(at.known[n]) for n in names if at.known[n].dtype.kind != "i"}
    allowed = limits(at, point, true, FLOAT64)
    for equation in equations:
        name = equation.out.name
        if name not in true or _is_off(sound[name], true[name], allowed[name]):
            continue
        if _is_off(inside[name], true[name], allowed[name]):
            size = float(np.abs(true[name]).max(initial=0)) or 1.0
            off = _gap(inside[name], true[name])
            return Fault(name, formula(equation, at), off / size, allowed[name] / size)
    return None


def formula(equation: Equation, at: Base) -> str:
    """Return the equation as the emitted file states it."""
    tensors = at.problem.derivation.network.tensors
    return FormulaSpeller(order_of(tensors.values())).equation(equation)


def _is_off(found: Array, true: Array, limit: float) -> bool:
    return not _gap(found, true) <= limit


def _gap(found: Array, true: Array) -> float:
    if found.shape != true.shape:
        return float("inf")
    return distance(np.asarray(found, np.float64), true)

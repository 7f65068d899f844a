"""What float32 keeps: the digits of each gradient, and the equation that loses them.

An equation is read in float32 with its inputs as exact as float32 holds them. What is wrong with
its result then is its own doing: mostly two numbers that nearly cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bpgen.ir.equation import Equation
from bpgen.ir.order import Loop, ordered
from bpgen.ir.source import SourceLine
from bpgen.verify.interpret import evaluate
from bpgen.verify.line import Base
from bpgen.verify.numbers import FLOAT32
from bpgen.verify.rounding import distance
from bpgen.verify.statements import formula

# Two digits below what float32 holds: more than the order of a sum costs.
_MUCH = 100


@dataclass(frozen=True, slots=True)
class Loser:
    """The first equation that keeps fewer digits than float32 has, and how many it keeps."""

    formula: str
    digits: float
    where: SourceLine | None

    def __str__(self) -> str:
        where = f"   {self.where}" if self.where else ""
        return f"{self.formula} keeps {max(0, self.digits):.1f} of 7 digits{where}"


def loser(at: Base) -> Loser | None:
    """Return the first equation whose float32 result is much worse than its float32 inputs."""
    derivation = at.problem.derivation
    known = {
        n: v if v.dtype.kind == "i" else at.numbers.nearest(v).astype(np.float32)
        for n, v in at.known.items()
    }
    largest = max(_size(at, g) for g in map(derivation.gradient_of, _parameters(at)))
    backward = {e.out.name for e in derivation.backward}
    for group in ordered(derivation.network.equations):
        inside = group.equations() if isinstance(group, Loop) else (group,)
        made = {e.out.name for e in inside}
        given = {n: known[n] for e in inside for n in e.reads() if n not in made}
        found = evaluate(inside, given, at.problem.extents, FLOAT32)
        for equation in inside:
            name = equation.out.name
            size = _size(at, name)
            vanishing = largest * 10.0**-FLOAT32.digits if name in backward else 0.0
            if equation.out.is_integer or size <= vanishing:
                continue
            error = distance(found[name].astype(np.float64), at.numbers.nearest(at.known[name]))
            if error > _MUCH * 10.0**-FLOAT32.digits * size:
                return _named(equation, -math.log10(error / size), at)
    return None


def _named(equation: Equation, digits: float, at: Base) -> Loser:
    where = equation.where or equation.out.where
    return Loser(formula(equation, at), digits, where)


def _parameters(at: Base) -> list[str]:
    return [p.name for p in at.problem.parameters]


def _size(at: Base, name: str) -> float:
    values = at.numbers.nearest(at.known[name])
    return float(np.abs(values[np.isfinite(values)]).max(initial=0))

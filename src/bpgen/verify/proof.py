"""The proof: ball arithmetic encloses both sides of `dL along v = Σ g · v`.

Left: the first Taylor coefficient of the forward formulas along θ + t v, read in series of balls.
Right: the derived gradient, read in balls. If the difference excludes 0 the gradient is wrong, and
that is proved; if it contains 0 and is small, the two agree to as many digits as its size shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bpgen.verify.balls import Balls, Series
from bpgen.verify.evidence import Outcome, Slope, measure
from bpgen.verify.interpret import downstream
from bpgen.verify.line import Direction, base
from bpgen.verify.numbers import Array
from bpgen.verify.points import Point
from bpgen.verify.problem import Problem, lifted
from bpgen.verify.switch import Switch
from bpgen.verify.trial import Trial

# 102 digits, and more while the balls leave fewer than DIGITS, as in deep networks.
BITS = 340
DIGITS = 90
_ATTEMPTS = 3
# Digits to spare when the precision is raised, for other directions lose others.
_SPARE = 10


def prove(
    problem: Problem,
    point: Point,
    directions: Sequence[Direction],
    *,
    digits: float = DIGITS,
    bits: int = BITS,
) -> Trial:
    """Prove the gradient at `point` along `directions`, with as much precision as `digits` take.

    The first direction moves every parameter: what switches under it is the list of switches, and
    what the balls lose along it is the precision that is missing.
    """
    for _ in range(_ATTEMPTS):
        trial = _along_one(problem, point, directions[0], bits)
        missing = digits - min(trial.digits().values())
        if trial.outcome is Outcome.REFUTES or (trial.outcome is Outcome.AGREES and missing <= 0):
            break
        bits += math.ceil((missing + _SPARE) * math.log2(10)) if 0 < missing < digits else bits
    return replace(trial, slopes=(*trial.slopes, *map(trial.evidence, directions[1:])))


def _along_one(problem: Problem, point: Point, direction: Direction, bits: int) -> Trial:
    series, at = Series(bits), base(problem, point, Balls(bits))
    forward = {*at.given, *(e.out.name for e in problem.forward)}
    still: dict[str, Array] = {}
    size = measure(at)
    held = {t.name for t in problem.held}

    def evidence(direction: Direction, seen: list[Switch] | None = None) -> Slope:
        changed = downstream(problem.forward, direction) - held
        fixed = [n for n in forward if n not in changed and n not in direction]
        still.update(lifted({n: at.known[n] for n in fixed if n not in still}, series))
        moving = {n: series.line(at.known[n], v) for n, v in direction.items()}
        values = {**{n: still[n] for n in fixed}, **moving}
        watch = (lambda switch: None) if seen is None else seen.append
        return Slope(direction, problem.loss(values, series, watch)[1], size(direction))

    first: list[Switch] = []
    slope = evidence(direction, first)
    return Trial(point, at, (slope,), tuple(first), evidence, proved=True)

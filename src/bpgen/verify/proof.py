"""The proof: ball arithmetic encloses both sides of `dL along v = Σ g · v`.

Left: the first Taylor coefficient of the forward formulas along θ + t v, read in series of balls.
Right: the derived gradient, read in balls. If the difference excludes 0 the gradient is wrong, and
that is proved; if it contains 0 and is small, the two agree to as many digits as its size shows.
"""

from __future__ import annotations

from collections.abc import Sequence

from bpgen.verify.balls import Balls, Series
from bpgen.verify.evidence import Outcome, Slope, measure
from bpgen.verify.interpret import downstream
from bpgen.verify.line import Direction, base
from bpgen.verify.points import Point
from bpgen.verify.problem import Problem, lifted
from bpgen.verify.switch import Switch
from bpgen.verify.trial import Trial

# 102 digits; doubled, twice at most, while the balls leave fewer than DIGITS, as in deep networks.
PRECISIONS = (340, 680, 1360)
DIGITS = 90


def prove(problem: Problem, point: Point, directions: Sequence[Direction]) -> Trial:
    """Prove the gradient at `point` along `directions`, with as much precision as it takes.

    The first direction moves every parameter: what switches under it is the list of switches.
    """
    for bits in PRECISIONS:
        trial = _at_precision(problem, point, directions, bits)
        if trial.outcome is Outcome.REFUTES:
            break
        if trial.outcome is Outcome.AGREES and min(trial.digits().values()) >= DIGITS:
            break
    return trial


def _at_precision(
    problem: Problem, point: Point, directions: Sequence[Direction], bits: int
) -> Trial:
    series, at = Series(bits), base(problem, point, Balls(bits))
    forward = {*at.given, *(e.out.name for e in problem.forward)}
    still = lifted({n: v for n, v in at.known.items() if n in forward}, series)
    size = measure(at)
    held = {t.name for t in problem.held}
    ignore: list[Switch] = []

    def evidence(direction: Direction, seen: list[Switch] = ignore) -> Slope:
        changed = downstream(problem.forward, direction) - held
        moving = {n: series.line(at.known[n], v) for n, v in direction.items()}
        values = {**{n: v for n, v in still.items() if n not in changed}, **moving}
        loss = problem.loss(values, series, seen.append)
        return Slope(direction, loss[1], size(direction))

    first: list[Switch] = []
    slopes = (evidence(directions[0], first), *map(evidence, directions[1:]))
    return Trial(point, at, slopes, tuple(first), evidence, proved=True)

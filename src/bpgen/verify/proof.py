"""The proof: ball arithmetic encloses both sides of `dL along v = Σ g · v`.

Left: the first Taylor coefficient of the forward formulas along θ + t v, read in series of balls. Right: the
derived gradient, read in balls. If the difference excludes 0 the gradient is wrong, and that is proved; if it
contains 0 and is small, the two agree to as many digits as its size shows.
"""

from __future__ import annotations

from collections.abc import Sequence

from bpgen.verify.balls import Balls, Series
from bpgen.verify.evidence import Outcome, Slope, measure
from bpgen.verify.line import Direction, base
from bpgen.verify.points import Point
from bpgen.verify.problem import Problem, lifted
from bpgen.verify.switch import Switch
from bpgen.verify.trial import Trial

# 102 digits; doubled twice if the balls come out too wide, as they do in a long chain of cancellations.
PRECISIONS = (340, 680, 1360)


def prove(problem: Problem, point: Point, directions: Sequence[Direction]) -> Trial:
    """Prove the gradient at `point` along `directions`, with as much precision as it takes.

    The first direction moves every parameter: what switches under it is the list of switches.
    """
    for bits in PRECISIONS:
        trial = _at_precision(problem, point, directions, bits)
        if trial.outcome is not Outcome.UNDECIDED:
            break
    return trial


def _at_precision(
    problem: Problem, point: Point, directions: Sequence[Direction], bits: int
) -> Trial:
    series, at = Series(bits), base(problem, point, Balls(bits))
    still, size = lifted(at.frozen, series), measure(at)
    ignore: list[Switch] = []

    def evidence(direction: Direction, seen: list[Switch] = ignore) -> Slope:
        moving = {n: series.line(at.known[n], v) for n, v in direction.items()}
        loss = problem.loss({**still, **moving}, series, seen.append)
        return Slope(direction, loss[1], size(direction))

    first: list[Switch] = []
    slopes = (evidence(directions[0], first), *map(evidence, directions[1:]))
    return Trial(point, at, slopes, tuple(first), evidence, proved=True)

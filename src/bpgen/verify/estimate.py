"""The trial without flint: finite differences of order 8, with an estimate of their error.

The estimate is the distance from order 6, whose error is larger. It is not a proof, and the verdict
says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy

from bpgen.verify.decimals import Decimals
from bpgen.verify.evidence import Slope, measure
from bpgen.verify.line import Direction, base, sample
from bpgen.verify.points import Point
from bpgen.verify.problem import Problem
from bpgen.verify.stencils import quotient
from bpgen.verify.trial import Trial

# One digit: the distance from a worse value is an estimate of the error, not a bound.
_MARGIN = 10


def estimate(problem: Problem, point: Point, directions: Sequence[Direction], digits: int) -> Trial:
    """Return the evidence of finite differences at `point` along `directions`."""
    at = base(problem, point, Decimals(digits))
    size = measure(at)

    def evidence(direction: Direction) -> Slope:
        fine, coarse = (quotient(at, direction, order, digits) for order in (8, 6))
        error = _MARGIN * (abs(float(fine.value - coarse.value)) + fine.rounding)
        return Slope(direction, fine.value, size(direction), error / size(direction))

    slopes = tuple(map(evidence, directions))
    switches = sample(at, directions[0], sympy.S.Zero).switches
    return Trial(point, at, slopes, switches, evidence, proved=False)

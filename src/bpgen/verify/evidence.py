"""Evidence: the derivative along a direction, as the forward formulas give it.

The one decision of this package is made here. The right gradient and every planted wrong one pass
through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from bpgen.verify.interpret import Values
from bpgen.verify.line import Base, Direction, slope
from bpgen.verify.numbers import Array, Numbers

# Agreement means a difference below 1e-30 of the derivative's size. Both sides carry 44 digits or
# more, and no wrong formula that is not built for it comes nearer than that.
AGREEMENT = 1e-30
# Three digits must be right for a number to count as different from zero.
_ABOVE_ROUNDING = 1e3


class Outcome(Enum):
    """What a comparison shows."""

    AGREES = "agrees"
    REFUTES = "refutes"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Slope:
    """dL along `direction`: `value`, give or take `radius`, a share of `size`.

    A ball carries its error in `value`, and has radius 0.
    """

    direction: Direction
    value: Any
    size: float
    radius: float = 0.0

    def difference(self, gradient: Values, numbers: Numbers) -> tuple[float, float]:
        """Return what |value - g·v| / size is at least, and at most."""
        claimed = slope(gradient, self.direction, numbers)
        with numbers.working():
            least, most = numbers.bounds((self.value - claimed) / self.size)
        return max(0.0, least - self.radius), most + self.radius

    def outcome(self, gradient: Values, numbers: Numbers) -> Outcome:
        """Return whether `gradient` agrees; a ball that excludes 0 refutes with proof."""
        least, most = self.difference(gradient, numbers)
        if least > 0:
            return Outcome.REFUTES
        return Outcome.AGREES if most <= AGREEMENT else Outcome.UNDECIDED


def decide(gradient: Values, slopes: Iterable[Slope], numbers: Numbers) -> Outcome:
    """Return what all slopes together say of `gradient`: one that refutes is enough."""
    outcomes = set()
    for evidence in slopes:
        outcomes.add(evidence.outcome(gradient, numbers))
        if Outcome.REFUTES in outcomes:
            return Outcome.REFUTES
    return Outcome.UNDECIDED if Outcome.UNDECIDED in outcomes else Outcome.AGREES


def sizes(gradient: Values, numbers: Numbers) -> dict[str, float]:
    """Return the root mean square of each tensor of a gradient: how large g·v is for a Gaussian v.

    It is 0 where it is below the rounding of the largest tensor: nothing is known but that it
    vanishes.
    """
    limit = rounding_of(gradient, numbers)
    found = {n: _root_mean_square(g, numbers) for n, g in gradient.items()}
    return {n: size if size > limit else 0.0 for n, size in found.items()}


def rounding_of(gradient: Values, numbers: Numbers) -> float:
    """Return how large an entry of `gradient` must be to differ from zero."""
    largest = max(_root_mean_square(g, numbers) for g in gradient.values())
    return float(_ABOVE_ROUNDING * 10.0**-numbers.digits * largest)


def measure(at: Base) -> Callable[[Direction], float]:
    """Return what measures g·v along a direction: the size of the largest tensor that moves.

    Where g·v vanishes it is the largest of all; where the whole gradient does, the loss.
    """
    gradient, numbers = at.gradient, at.numbers
    parameters = sizes(gradient, numbers)
    otherwise = max(parameters.values()) or at.loss or 1.0

    def size(direction: Direction) -> float:
        inner = at.cotangents(n for n in direction if n not in parameters)
        known = {**parameters, **sizes({**gradient, **inner}, numbers)} if inner else parameters
        return max(known[n] for n in direction) or otherwise

    return size


def _root_mean_square(entries: Array, numbers: Numbers) -> float:
    return float(np.sqrt(np.mean(np.square(numbers.certain(entries)))))

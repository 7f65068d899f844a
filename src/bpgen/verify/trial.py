"""A trial: a gradient at one point, and all evidence for or against it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bpgen.verify.evidence import Outcome, Slope, decide, sizes
from bpgen.verify.line import Base, Direction
from bpgen.verify.points import Point
from bpgen.verify.switch import Switch


@dataclass(frozen=True, slots=True)
class Trial:
    """All evidence at one point; `proved` if it comes in balls, else it is an estimate.

    `evidence` measures along one more direction, in parameters or in any tensor between them and
    the loss.
    """

    point: Point
    base: Base
    slopes: tuple[Slope, ...]
    switches: tuple[Switch, ...]
    evidence: Callable[[Direction], Slope]
    proved: bool

    @property
    def undecided(self) -> tuple[Switch, ...]:
        """Return the switches whose side is not proved: the point may lie on them."""
        return tuple(s for s in self.switches if s.undecided)

    @property
    def outcome(self) -> Outcome:
        """Return what is proved; nothing is, if the point may lie on a switch."""
        if self.undecided:
            return Outcome.UNDECIDED
        return decide(self.base.gradient, self.slopes, self.base.numbers)

    def digits(self) -> dict[str, float]:
        """Return to how many digits each tensor is shown right, by the best direction over it."""
        gradient, numbers = self.base.gradient, self.base.numbers
        own = sizes(gradient, numbers)
        found: dict[str, float] = {}
        for slope in self.slopes:
            most = slope.difference(gradient, numbers)[1] * slope.size
            for name in slope.direction:
                size = own[name] or slope.size
                digits = -math.log10(most / size) if most else numbers.digits
                found[name] = max(digits, found.get(name, 0.0))
        return found

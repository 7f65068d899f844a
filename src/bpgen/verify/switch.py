"""Switches: where a formula chooses by the sign of a number, it has no derivative at 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bpgen.ir.equation import Equation
from bpgen.verify.numbers import UNDECIDED


@dataclass(frozen=True, slots=True, eq=False)
class Switch:
    """One comparison of one equation, entry by entry.

    A sign of 0 is a tie that stays one along the line (both sides are equal, and move alike):
    harmless. UNDECIDED is a sign that the numbers do not prove; or the point lies on the switch.
    A branch may be taken or not; the largest entry exceeds the others in any case.
    """

    equation: Equation
    condition: str
    signs: NDArray[np.int8]
    distances: NDArray[np.float64]
    is_branch: bool = True

    @property
    def undecided(self) -> int:
        """Return how many signs are open."""
        return int((self.signs == UNDECIDED).sum())

    @property
    def ties(self) -> int:
        """Return how many entries are tied for good."""
        return int((self.signs == 0).sum())

    @property
    def nearest(self) -> float:
        """Return the smallest distance from the switch, ties aside."""
        return float(self.distances[self.signs != 0].min(initial=np.inf))

    def __str__(self) -> str:
        """Return what switches, and where it is written."""
        where = f"   {self.equation.where}" if self.equation.where else ""
        return f"{self.equation.out.canonical}: {self.condition}{where}"


def crossed(here: Sequence[Switch], there: Sequence[Switch]) -> bool:
    """Whether some comparison comes out differently at two points of one network."""
    pairs = zip(here, there, strict=True)
    return any(not np.array_equal(a.signs, b.signs) for a, b in pairs)

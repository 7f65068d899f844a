"""What all trials together show: digits of agreement, and the switches at the points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bpgen.verify.coverage import one_sided
from bpgen.verify.evidence import Outcome
from bpgen.verify.trial import Trial


@dataclass(frozen=True, slots=True)
class Agreement:
    """To how many digits each derived gradient agrees with the forward formulas."""

    outcome: Outcome
    digits: Mapping[str, float]
    points: tuple[str, ...]
    directions: int
    numbers: str
    proved: bool

    @property
    def worst(self) -> int:
        """Return the digits of the worst tensor."""
        return math.floor(min(self.digits.values()))


@dataclass(frozen=True, slots=True)
class Kinks:
    """The switches at the points: how many, how many tied for good, and the nearest.

    Of those that are one-sided, one branch was taken by no entry at any point.
    """

    switches: int
    ties: int
    distance: float
    nearest: str
    undecided: tuple[str, ...]
    one_sided: tuple[str, ...]


def agreement(trials: Sequence[Trial]) -> Agreement:
    """Return the digits of every tensor at the point where it has fewest."""
    digits = [trial.digits() for trial in trials]
    outcomes = {trial.outcome for trial in trials}
    gravest = next(o for o in (Outcome.REFUTES, Outcome.UNDECIDED, Outcome.AGREES) if o in outcomes)
    return Agreement(
        gravest,
        {name: min(d[name] for d in digits) for name in digits[0]},
        tuple(trial.point.name for trial in trials),
        len(trials[0].slopes),
        trials[0].base.numbers.name,
        trials[0].proved,
    )


def kinks(trials: Sequence[Trial]) -> Kinks:
    """Return the switches of all trials."""
    switches = [s for trial in trials for s in trial.switches]
    nearest = min(switches, key=lambda s: s.nearest, default=None)
    return Kinks(
        sum(s.signs.size for s in switches),
        sum(s.ties for s in switches),
        nearest.nearest if nearest else math.inf,
        str(nearest) if nearest else "",
        tuple(str(s) for s in switches if s.undecided),
        one_sided(trials),
    )

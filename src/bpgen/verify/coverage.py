"""What has been seen: a mistake where a cotangent is 0 everywhere does not show.

A relu that is off, a label that is ignored, an entry that no maximum chooses: its cotangent is 0 at
a point, and so is every multiple of it. Further points are drawn while they show more entries. The
branch of a formula that no entry takes does not show either: for these, points are drawn wider.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bpgen.verify.evidence import Outcome
from bpgen.verify.switch import Switch
from bpgen.verify.trial import Trial

Seen = Mapping[str, NDArray[np.bool_]]
# Each costs a tenth of a check. Half of the entries of a relu are off at one point, and one in a
# hundred at all of them.
_POINTS = 3
# In search of a branch, everything real is drawn so many times as wide as it usually is.
_WIDTHS = (4.0, 16.0)


def further(tried: Sequence[Trial], draw: Callable[[float], Trial | None]) -> Iterator[Trial]:
    """Yield trials that `draw` makes, given how wide, as long as one shows what none before did."""
    found = list(tried)
    seen = _joined(map(_seen, found))
    for _ in range(_POINTS):
        if all(map(np.all, seen.values())):
            break
        trial = draw(1.0)
        if trial is None or trial.undecided:
            continue
        more = _joined((seen, _seen(trial)))
        if not any((more[name] ^ seen[name]).any() for name in seen):
            break
        seen = more
        found.append(trial)
        yield trial
    for width in _WIDTHS:
        if not one_sided(found):
            return
        trial = draw(width)
        if trial is not None and trial.outcome is not Outcome.UNDECIDED:
            found.append(trial)
            yield trial


def one_sided(trials: Sequence[Trial]) -> tuple[str, ...]:
    """Return the comparisons that come out one way for every entry at every point."""
    ways: dict[tuple[str, str], set[int]] = {}
    named: dict[tuple[str, str], Switch] = {}
    for switch in (s for trial in trials for s in trial.switches if s.is_branch):
        key = switch.equation.out.name, switch.condition
        ways.setdefault(key, set()).update(np.unique(switch.signs[switch.signs != 0]).tolist())
        named[key] = switch
    return tuple(str(named[key]) for key, found in ways.items() if len(found) == 1)


def _seen(trial: Trial) -> Seen:
    numbers, known = trial.base.numbers, trial.base.known
    backward = trial.base.problem.derivation.backward
    names = (e.out.name for e in backward if known[e.out.name].dtype.kind != "i")
    return {name: numbers.certain(known[name]) != 0 for name in names}


def _joined(parts: Iterator[Seen] | Sequence[Seen]) -> Seen:
    first, *others = parts
    return {
        name: np.logical_or.reduce([own, *(o[name] for o in others)]) for name, own in first.items()
    }

"""Which entries of cotangents have been seen: a mistake in one that is 0 everywhere does not show.

A relu that is off, a label that is ignored, an entry that no maximum chooses: its cotangent is 0 at
a point, and so is every multiple of it. Further points are drawn while they show more entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from bpgen.verify.trial import Trial

Seen = Mapping[str, NDArray[np.bool_]]
# Each costs a tenth of a check. Half of the entries of a relu are off at one point, and one in a
# hundred at all of them.
_POINTS = 3


def further(first: Trial, draw: Callable[[], Trial]) -> Iterator[Trial]:
    """Yield trials that `draw` makes, as long as one shows an entry that none before did."""
    seen = _seen(first)
    for _ in range(_POINTS):
        if all(map(np.all, seen.values())):
            return
        trial = draw()
        if trial.undecided:
            continue
        more = {name: seen[name] | own for name, own in _seen(trial).items()}
        if not any((more[name] ^ seen[name]).any() for name in seen):
            return
        seen = more
        yield trial


def _seen(trial: Trial) -> Seen:
    numbers, known = trial.base.numbers, trial.base.known
    backward = trial.base.problem.derivation.backward
    names = (e.out.name for e in backward if known[e.out.name].dtype.kind != "i")
    return {name: numbers.certain(known[name]) != 0 for name in names}

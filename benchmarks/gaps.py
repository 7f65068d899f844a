"""Where the time of a step goes, statement by statement, beside what the machine allows.

    python -m benchmarks.gaps WORKLOAD FOLDER THREADS

The emitted module in the folder is changed, so that it notes the time at the comment above each
statement.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.clock import clock
from benchmarks.contestants import Case, bpgen
from benchmarks.costs import Cost, costs
from benchmarks.limits import Limits, measured
from benchmarks.workload import WORKLOADS

SECONDS, FEWEST, LONGEST = 2.0, 7, 6  # of profiling; steps; statements that are shown
FORMULA = re.compile(r"^( +)# (\S.*?) (?:\+=|=|←) ")


@dataclass(frozen=True, slots=True)
class Gap:
    """A statement: its formula, its share of a step, and its time as a multiple of the least.

    The multiple is 0 where nothing is known of the least.
    """

    formula: str
    share: float
    multiple: float


class Watch:
    """Counts the seconds between one name and the next for the first of them."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Start with nothing counted."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._now, self._name, self._since = now, "", now()

    def __call__(self, name: str) -> None:
        """From now on it is the time of `name`."""
        self.seconds[self._name] += self._now() - self._since
        self._name, self._since = name, self._now()


def noted(text: str) -> str:
    """Return a module that calls `clock` with the left side of each formula before its line."""
    lines = []
    for line in text.splitlines():
        if found := FORMULA.match(line):
            lines.append(f"{found[1]}clock({found[2]!r})")
        lines.append(line)
    return "\n".join(lines)


def profiled(case: Case) -> dict[str, float]:
    """Return the seconds that each statement takes in a step, by the left side of its formula.

    The module in the folder of the case is the one with the clock from then on.
    """
    watch = Watch(clock(case.threads))
    case.module.write_text(noted(case.module.read_text(encoding="utf-8")), encoding="utf-8")
    step = bpgen.setup(case)
    vars(sys.modules[case.module.stem])["clock"] = watch
    return _per_step(step, watch)


def _per_step(step: Callable[[], float], watch: Watch) -> dict[str, float]:
    """Return the median over steps of what each statement takes."""
    taken: dict[str, list[float]] = {}
    begin, steps = time.perf_counter(), 0
    while time.perf_counter() - begin < SECONDS or steps < FEWEST:
        watch.seconds.clear()
        step()
        watch("")
        steps += 1
        for name, seconds in watch.seconds.items():
            taken.setdefault(name, []).append(seconds)
    return {name: median(seconds) for name, seconds in taken.items() if name}


def gaps(case: Case, limits: Limits) -> Iterator[Gap]:
    """Yield the whole step, and the statements that take the most time, the longest first."""
    seconds = profiled(case)
    known: dict[str, Cost] = {}
    for cost in costs(case.workload):
        known[cost.left] = cost + known[cost.left] if cost.left in known else cost
    total, least = sum(seconds.values()), sum(cost.least(limits) for cost in known.values())
    yield Gap("the whole step", 1, total / least)
    for left, spent in sorted(seconds.items(), key=lambda item: -item[1])[:LONGEST]:
        cost = known.get(left, Cost(left, 0, 0))
        own = cost.least(limits)
        yield Gap(cost.formula, spent / total, spent / own if own else 0)


def main(name: str, folder: str, threads: str) -> None:
    """Print the limits and the gaps of a workload as JSON."""
    limits = measured(int(threads))
    case = Case(WORKLOADS[name], Path(folder), int(threads))
    found = [asdict(gap) for gap in gaps(case, limits)]
    print(json.dumps({"limits": asdict(limits), "gaps": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])

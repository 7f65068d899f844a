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
from collections import Counter, defaultdict
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
CALL = re.compile(r"^( +)(np\.|\S+\.take\()")


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
    """Return the seconds that each statement takes in a step, by the left side of its formula."""
    watch = Watch(clock(case.threads))
    text = case.module.read_text(encoding="utf-8")
    return _per_step(_changed(case, noted(text), clock=watch), watch)


def called(case: Case) -> Counter[str]:
    """Return how often each statement calls numpy in a step, by the left side of its formula.

    Threads that share a batch make their calls at the same time.
    """
    calls: Counter[str] = Counter()
    text = case.module.read_text(encoding="utf-8")
    step = _changed(case, counted(text), calls=calls)
    calls.clear()
    step()
    at_once = case.threads if case.workload.shared else 1
    return Counter({left: count // at_once for left, count in calls.items()})


def counted(text: str) -> str:
    """Return a module that adds to `calls` before each line on which it calls numpy."""
    lines, left = [], ""
    for line in text.splitlines():
        if line.startswith("def "):
            left = ""
        if found := FORMULA.match(line):
            left = found[2]
        elif left and (found := CALL.match(line)):
            lines.append(f"{found[1]}calls[{left!r}] += 1")
        lines.append(line)
    return "\n".join(lines)


def _changed(case: Case, text: str, **names: object) -> Callable[[], float]:
    """Return the step of the module as `text` has it, with further names; a first one is taken."""
    before = case.module.read_text(encoding="utf-8")
    try:
        case.module.write_text(text, encoding="utf-8")
        sys.modules.pop(case.module.stem, None)
        step = bpgen.setup(case)
    finally:
        case.module.write_text(before, encoding="utf-8")
    vars(sys.modules[case.module.stem]).update(names)
    step()
    return step


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
    seconds, calls = profiled(case), called(case)
    known: dict[str, Cost] = {}
    for cost in costs(case.workload):
        known[cost.left] = cost + known[cost.left] if cost.left in known else cost
    least = {left: cost.least(limits, calls[left]) for left, cost in known.items()}
    total = sum(seconds.values())
    yield Gap("the whole step", 1, total / sum(least.values()))
    for left, spent in sorted(seconds.items(), key=lambda item: -item[1])[:LONGEST]:
        cost = known.get(left, Cost(left, 0, 0))
        yield Gap(cost.formula, spent / total, spent / least[left] if left in least else 0)


def main(name: str, folder: str, threads: str) -> None:
    """Print the limits and the gaps of a workload as JSON."""
    limits = measured(int(threads))
    case = Case(WORKLOADS[name], Path(folder), int(threads))
    found = [asdict(gap) for gap in gaps(case, limits)]
    print(json.dumps({"limits": asdict(limits), "gaps": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])

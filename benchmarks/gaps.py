"""Where the time of a step goes, statement by statement, beside what the machine allows.

    python -m benchmarks.gaps WORKLOAD FOLDER THREADS

A copy of the emitted module notes the time at the comment above each statement. The least time of
a statement is what its multiply-adds take at the rate of a large product, or its memory traffic at
that of a large copy, whichever is more.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.clock import clock
from benchmarks.contestants import Case
from benchmarks.limits import Limits, measured
from benchmarks.workload import WORKLOADS

if TYPE_CHECKING:
    from bpgen.ir.index import Index

SECONDS, FEWEST, LONGEST = 2.0, 7, 6  # of profiling; steps; statements that are shown
FORMULA = re.compile(r"^( +)# (\S.*?) (?:\+=|=|←) ")


@dataclass(frozen=True, slots=True)
class Gap:
    """A statement: its formula, its share of a step, and its time as a multiple of the least."""

    formula: str
    share: float
    multiple: float


class Watch:
    """Counts the seconds between one name and the next for the first of them."""

    def __init__(self, now: Callable[[], float]) -> None:
        """Start with nothing counted."""
        self.seconds: Counter[str] = Counter()
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
    from benchmarks.contestants.bpgen import setup

    watch = Watch(clock(case.threads))
    text = case.module.read_text(encoding="utf-8")
    case.module.write_text(noted(text), encoding="utf-8")
    step = setup(case)
    sys.modules[case.module.stem].clock = watch  # type: ignore[attr-defined]
    try:
        return _per_step(step, watch)
    finally:
        case.module.write_text(text, encoding="utf-8")


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
    """Yield the statements that take the most time, the longest first."""
    seconds = profiled(case)
    total = sum(seconds.values())
    costs = dict(_costs(case))
    for name, spent in sorted(seconds.items(), key=lambda item: -item[1])[:LONGEST]:
        formula, operations, traffic = costs.get(name, (name, 0, 0))
        least = max(operations / limits.flops, traffic / limits.bytes)
        yield Gap(formula, spent / total, spent / least if least else 0)


def _costs(case: Case) -> Iterator[tuple[str, tuple[str, int, int]]]:
    """Yield for each left side its formula, its operations and the bytes it touches.

    An update runs over all parameters as one vector, whatever it reads of it.
    """
    import bpgen as bp
    from bpgen.ir.program import steps_of
    from bpgen.lower import lower
    from bpgen.spell import FormulaSpeller, order_of

    model = bp.load(case.workload.path)
    program = lower(model.derive().derivation, model.optimizer)
    tensors, batch = program.tensors, case.workload.batch
    speller = FormulaSpeller(order_of(tensors.values()))
    for step in steps_of(program.forward + program.loss + program.backward):
        equation = step.equation
        over = [(*equation.out.indices, *term.over) for term in equation.terms if term.over]
        operations = 2 * sum(_entries(indices, batch) for indices in over)
        touched = {equation.out.name, *equation.reads()}
        each = [_entries(tensors[name].indices, batch) for name in touched]
        formula = speller.equation(equation)
        yield formula.split(" = ")[0], (formula, operations, 4 * sum(each))
    size = sum(_entries(tensor.indices, batch) for tensor in model.network.parameters)
    for step in steps_of(program.update):
        equation = step.equation
        touched = {equation.out.name, *equation.reads()} if equation.out.indices else ()
        formula = speller.equation(equation)
        yield formula.split(" = ")[0], (formula, 0, 4 * size * len(touched))


def _entries(indices: Sequence[Index], batch: int) -> int:
    return prod(index.extent.value or batch for index in indices)


def main(name: str, folder: str, threads: str) -> None:
    """Print the limits and the gaps of a workload as JSON."""
    limits = measured(int(threads))
    case = Case(WORKLOADS[name], Path(folder), int(threads))
    found = [asdict(gap) for gap in gaps(case, limits)]
    print(json.dumps({"limits": asdict(limits), "gaps": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])

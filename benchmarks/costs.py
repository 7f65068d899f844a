"""What each statement of an emitted module must do at least: operations, and bytes it touches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import bpgen as bp
from benchmarks.limits import Limits
from benchmarks.workload import Workload
from bpgen.ir.equation import Equation
from bpgen.ir.index import Index
from bpgen.ir.program import steps_of
from bpgen.lower import lower
from bpgen.spell import FormulaSpeller, order_of

FLOAT = 4  # bytes


@dataclass(frozen=True, slots=True)
class Cost:
    """A formula, with the multiplications and additions of its sums, and the bytes of its tensors.

    `least` is the time of the operations at the rate of a large product, or of the bytes at that of
    a large copy, whichever is more, and of the calls that numpy is given.
    """

    formula: str
    operations: int
    traffic: int

    def __add__(self, other: Cost) -> Cost:
        """Return the cost of a statement that does both."""
        return Cost(self.formula, self.operations + other.operations, self.traffic + other.traffic)

    @property
    def left(self) -> str:
        """Return the left side, by which a statement is known."""
        return self.formula.split(" = ")[0]

    def least(self, limits: Limits, calls: int) -> float:
        """Return the seconds that the machine needs at least, with so many calls of numpy."""
        work = max(self.operations / limits.flops, self.traffic / limits.bytes)
        return work + calls * limits.call


def costs(workload: Workload) -> Iterator[Cost]:
    """Yield the cost of each statement of a step, for the batch of the workload.

    An update runs over all parameters as one vector, whatever it reads of it.
    """
    model = bp.load(workload.path)
    program = lower(model.derive().derivation, model.optimizer)
    tensors, batch = program.tensors, workload.batch
    speller = FormulaSpeller(order_of(tensors.values()))
    for step in steps_of(program.forward + program.loss + program.backward):
        equation = step.equation
        over = [(*equation.out.indices, *term.over) for term in equation.terms if term.over]
        operations = 2 * sum(_entries(indices, batch) for indices in over)
        traffic = sum(_entries(tensors[name].indices, batch) for name in _touched(equation))
        yield Cost(speller.equation(equation), operations, FLOAT * traffic)
    size = sum(_entries(tensor.indices, batch) for tensor in model.network.parameters)
    for step in steps_of(program.update):
        vectors = len(_touched(step.equation)) if step.equation.out.indices else 0
        yield Cost(speller.equation(step.equation), 0, FLOAT * size * vectors)


def _touched(equation: Equation) -> set[str]:
    return {equation.out.name, *equation.reads()}


def _entries(indices: Sequence[Index], batch: int) -> int:
    return prod(index.extent.value or batch for index in indices)

"""The update of the parameters: numbers first, then entry by entry, in blocks if there are many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bpgen.ir.equation import Equation
from bpgen.ir.program import Blocks, Map, Part, Step
from bpgen.ir.tensor import Role, Tensor
from bpgen.lower.statements import step

# Entries of a block: five vectors of float32 take 1.3 MB, which stay in a second-level cache. Below
# a million parameters everything does, and blocks cost more calls than they save (measured: Adam
# takes 0.9 of the time at 1 million, 0.65 at 5 and at 20 million).
BLOCK = 1 << 16
MANY = 1 << 20


def update_parts(
    equations: Iterable[Equation], tensors: Mapping[str, Tensor], size: int
) -> tuple[Part, ...]:
    """Return the steps that change `size` parameters; the last ones by blocks, if that pays."""
    steps = _numbers_first([step(e, tensors) for e in equations])
    first = len(steps)
    while first and all(isinstance(s, Map) and s.out.indices for s in steps[first - 1].statements):
        first -= 1
    if size < MANY or first == len(steps):
        return tuple(steps)
    return (*steps[:first], Blocks(tuple(steps[first:]), BLOCK))


def _numbers_first(steps: list[Step]) -> list[Step]:
    """Move every number before the vectors that stand before it and that it does not read."""
    ordered: list[Step] = []
    for one in steps:
        place = len(ordered)
        reads = set(one.equation.reads())
        if one.equation.out.role is Role.SCALAR:
            while place and _may_follow(ordered[place - 1], reads):
                place -= 1
        ordered.insert(place, one)
    return ordered


def _may_follow(other: Step, reads: set[str]) -> bool:
    return bool(other.equation.out.indices) and other.equation.out.name not in reads

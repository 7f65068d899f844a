"""The order of axes in memory: what is computed in turns lies turn by turn.

    h[n,t,k] = o[n,t,k] tanh(c[n,t,k]), one t after the other     lies in memory as h[t,n,k]

All that a turn reads and writes is then one run of memory, and the matrices of all turns lie below
one another, as the product that comes after the loop wants them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bpgen.ir.expr import Access, accesses, indices_of
from bpgen.ir.index import Index
from bpgen.ir.program import (
    Contract,
    Fold,
    Gather,
    Part,
    Program,
    Statement,
    Turns,
    steps_of,
)
from bpgen.ir.tensor import GIVEN, Move, Role
from bpgen.lower.reorder import formulas_of, reordered, unwrapped


def turns_first(program: Program) -> Program:
    """Return `program` with the turns as the first axis of all that a loop computes."""
    parts = program.computed
    free = frozenset(_free(program))
    found: dict[str, Move] = {}
    waiting = {n: m for n, m in _in_loops(parts, ()) if n in free and m.axis > m.to}
    while waiting:
        found |= waiting
        near = (pair for s in _elementwise(parts) for pair in _beside(s, waiting))
        waiting = {n: m for n, m in near if n in free - set(found) and m.axis > m.to}
    return reordered(program, dict(sorted(found.items())))


def _free(program: Program) -> Iterator[str]:
    """Yield the tensors that may be moved: buffers, which no user sees."""
    gradients = (program.derivation.gradient_of(p.name) for p in program.network.parameters)
    seen = {program.network.loss, *program.network.outputs.values(), *gradients}
    for tensor in program.tensors.values():
        if tensor.role not in GIVEN | {Role.SCALAR} and tensor.name not in seen:
            yield tensor.name


def _in_loops(parts: Iterable[Part], outer: tuple[Index, ...]) -> Iterator[tuple[str, Move]]:
    """Yield each tensor of a loop with the axis of its turns, and where that belongs."""
    for part in parts:
        if not isinstance(part, Turns):
            continue
        turns = (*outer, part.index)
        for step in steps_of(part.parts):
            for statement in step.statements:
                for entry in _entries(statement):
                    places = [indices_of(at) & {*turns} for at in entry.indices]
                    own = [k for k, found in enumerate(places) if part.index in found]
                    before = sum(bool(found & {*outer}) for found in places)
                    if own:
                        yield entry.name, Move(own[0], before)
        yield from _in_loops(part.parts, turns)


def _entries(statement: Statement) -> Iterator[Access]:
    yield unwrapped(statement).out.canonical
    for formula in formulas_of(statement):
        yield from sorted(accesses(formula), key=str)


def _elementwise(parts: Iterable[Part]) -> Iterator[Statement]:
    """Yield the statements whose entries follow each other as those that they read."""
    for step in steps_of(parts):
        yield from (s for s in step.statements if not isinstance(s, Contract | Fold | Gather))


def _beside(statement: Statement, moved: dict[str, Move]) -> Iterator[tuple[str, Move]]:
    """Yield what a statement writes or reads along the axis that is moved in another tensor."""
    entries = list(_entries(statement))
    for entry in entries:
        if entry.name in moved:
            move = moved[entry.name]
            turn = entry.indices[move.axis]
            for other in entries:
                if isinstance(turn, Index) and turn in other.indices:
                    yield other.name, Move(other.indices.index(turn), move.to)

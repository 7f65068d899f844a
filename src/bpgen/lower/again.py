"""What the backward pass computes again instead of reading what the forward pass has saved.

A tensor that is computed again has two lives, and its memory serves others between them. It is
computed by the same step, right before the first step of the backward pass that reads it, from
what is saved or is computed again itself; in a loop, in the same turn.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bpgen.ir.index import Index
from bpgen.ir.order import shift
from bpgen.ir.program import Part, Place, Program, Step, Turns, steps_of
from bpgen.ir.tensor import Role
from bpgen.lower.lives import functions_of, is_view, roots_of

Around = tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """The step of the forward pass that computes a tensor, and the loops it stands in."""

    step: Step
    around: Around


def candidates(program: Program) -> dict[str, Origin]:
    """Return what may be computed again: one step gives the same at any later time.

    Not the loss, a border that is made once, what a state enters, since states have moved on by
    then; nor what is read in another turn, or behind its loop.
    """
    tensors, roots = program.tensors, roots_of(functions_of(program).values())
    found: dict[str, Origin] = {}
    excluded = {program.network.loss}
    for step, around in _placed(program.forward + program.loss, ()):
        name = step.equation.out.name
        states = any(tensors[r].role is Role.STATE for r in step.equation.reads())
        if step.adds or states or name in found or isinstance(step.statements[0], Place):
            excluded.add(name)
        found[name] = Origin(step, around)
    everything = program.forward + program.loss + program.backward + program.second
    for step, around in _placed(everything, ()):
        for read in step.equation.accesses():
            origin = found.get(roots.get(read.name, read.name))
            axes = tensors[read.name].indices
            if origin:
                now = all(shift(read, axes, index) == 0 for index in origin.around)
                if not now or around[: len(origin.around)] != origin.around:
                    excluded.add(origin.step.equation.out.name)
    return {name: origin for name, origin in found.items() if name not in excluded}


def _placed(parts: Iterable[Part], around: Around) -> Iterator[tuple[Step, Around]]:
    for part in parts:
        if isinstance(part, Turns):
            yield from _placed(part.parts, (*around, part.index))
        elif isinstance(part, Step) and not is_view(part):
            yield part, around


def computed_again(program: Program, names: Collection[str]) -> Program:
    """Return `program`, whose backward pass computes the tensors `names` again."""
    origins = candidates(program)
    roots = roots_of(functions_of(program).values())
    writer = _Again({name: origins[name] for name in names}, roots)
    return replace(program, backward=writer.parts(program.backward, (), set()))


@dataclass(frozen=True, slots=True)
class _Again:
    origins: Mapping[str, Origin]
    roots: Mapping[str, str]

    def parts(self, parts: Sequence[Part], around: Around, done: set[str]) -> tuple[Part, ...]:
        """Return `parts` with what they read computed before, unless it is among `done`."""
        found: list[Part] = []
        for part in parts:
            for name in self._needed(steps_of((part,))):
                if name not in done and self.origins[name].around == around:
                    found.append(self.origins[name].step)
                    done.add(name)
            if isinstance(part, Turns):
                inside = self.parts(part.parts, (*around, part.index), set())
                found.append(replace(part, parts=inside))
            else:
                found.append(part)
        return tuple(found)

    def _needed(self, steps: Iterable[Step]) -> dict[str, None]:
        """Return what is to be computed for `steps`, sources before what reads them."""
        found: dict[str, None] = {}
        for step in steps:
            if not is_view(step):
                for name in step.equation.reads():
                    root = self.roots.get(name, name)
                    if root in self.origins and root not in found:
                        found |= self._needed((self.origins[root].step,))
                        found[root] = None
        return found

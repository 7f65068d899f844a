"""What concerns one turn of a loop alone is computed there, and its memory serves every turn.

A gradient of stacked parameters, `∂L/∂W[b,d,h] = Σ_n x[b,n,d] ∂L/∂z[b,n,h]`, is computed in the
turn that has computed `∂L/∂z[b]`. Then `∂L/∂z` is read in no other turn, and needs no axis `b`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bpgen.ir.expr import Access
from bpgen.ir.index import Index
from bpgen.ir.order import shift
from bpgen.ir.program import Part, Program, Step, Turns, steps_of
from bpgen.lower.again import computed_again
from bpgen.lower.axes import without_axes
from bpgen.lower.lives import functions_of, is_view, results_of, roots_of
from bpgen.lower.statements import step


def by_turns(program: Program) -> Program:
    """Return `program` with everything in the loop that it belongs to, in the least memory.

    What it is to compute `again` is in its backward pass.
    """
    found = without_axes(computed_again(inward(program), program.again))
    found.check()
    return found


def inward(program: Program) -> Program:
    """Return `program` with the gradients of stacked parameters in the loops they wait for."""
    steps = _Inward(program, roots_of(functions_of(program).values()), results_of(program))
    return replace(
        program, backward=steps.parts(program.backward), second=steps.parts(program.second)
    )


@dataclass(frozen=True, slots=True)
class _Inward:
    """Steps behind a loop that may as well be taken in it: each turn has what its part needs."""

    program: Program
    roots: Mapping[str, str]
    results: frozenset[str]

    def parts(self, parts: Sequence[Part]) -> tuple[Part, ...]:
        """Return `parts` with gradients of stacked parameters in the loop that they wait for."""
        found: list[Part] = []
        for part in parts:
            place, loop = self._awaited(part, found)
            if isinstance(part, Step) and isinstance(loop, Turns):
                found[place] = self._with(loop, part)
            else:
                found.append(part)
        return tuple(found)

    def _awaited(self, part: Part, before: Sequence[Part]) -> tuple[int, Turns | None]:
        """Return the last part that a gradient waits for, and its place, if that is its loop."""
        if isinstance(part, Step) and part.equation.out.name in self.results and not part.adds:
            for k, one in reversed(list(enumerate(before))):
                read = [a for a in part.equation.accesses() if self._is_written(a.name, one)]
                if read:
                    if isinstance(one, Turns) and self._is_of_one_turn(part, one, read):
                        return k, one
                    break
        return 0, None

    def _is_of_one_turn(self, part: Step, loop: Turns, read: Sequence[Access]) -> bool:
        """Whether a step computes one entry from the entries of one turn."""
        tensors = self.program.tensors
        now = all(shift(a, tensors[a.name].indices, loop.index) == 0 for a in read)
        return now and loop.index in part.equation.out.indices

    def _is_written(self, name: str, part: Part) -> bool:
        root = self.roots.get(name, name)
        return any(s.equation.out.name == root for s in steps_of((part,)) if not is_view(s))

    def _with(self, loop: Turns, part: Step) -> Turns:
        """Put a step into a loop, behind what it reads there."""
        inside = list(loop.parts)
        reads = part.equation.reads()
        last = max(
            k for k, one in enumerate(inside) if any(self._is_written(name, one) for name in reads)
        )
        around: tuple[Index, ...] = (loop.index,)
        inside.insert(last + 1, step(part.equation, self.program.tensors, around))
        return replace(loop, parts=tuple(inside))

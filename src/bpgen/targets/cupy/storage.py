"""What is stored as bf16, where products multiply bf16: one rule, made from the program alone.

Numbers are rounded where a library multiplies, so they are stored so by the kernel that makes them.
Whatever reads them computes in float32.

- What products read is stored as bf16: activations, cotangents, and a copy of the parameters, which
  the optimizer writes along with the float32 that it keeps.
- What products write is stored so too, where products and maps alone read it: each entry of it then
  reaches one entry of something else.
- All else is float32: what is summed or compared with others (a softmax and its loss, statistics
  of a row), where what is lost of one entry reaches all of them; what is added up in several steps;
  what maps make for maps; inputs and outputs; gradients, and the state of an optimizer.

A product that reads a tensor of float32 copies it to a tile first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from bpgen.ir.expr import Access, accesses
from bpgen.ir.program import Part as ProgramPart
from bpgen.ir.program import Step, Turns
from bpgen.ir.tensor import Role
from bpgen.targets.cupy.fusion import Part, Total, parts_of
from bpgen.targets.cupy.kernel import Fixed
from bpgen.targets.cupy.matmul import apart, matmul
from bpgen.targets.cupy.memory import Memory
from bpgen.targets.cupy.panels import panel_read
from bpgen.targets.cupy.shapes import matrices

_MADE = frozenset({Role.ACTIVATION, Role.CONSTANT, Role.COTANGENT})


def narrow(
    functions: Iterable[Sequence[ProgramPart]], outputs: Iterable[str], memory: Memory
) -> frozenset[str] | None:
    """Return the tensors that are stored as bf16; None if no library multiplies.

    `functions` are all that reads or writes them.
    """
    seen = _Seen(memory)
    for parts in functions:
        for fixed, group in _groups(parts, {}, memory):
            seen.note(group, fixed)
    if not seen.read:
        return None
    kept = seen.added | {memory.root(name) for name in outputs} | memory.local
    return frozenset(
        name
        for name in (seen.read | (seen.written - seen.summed)) - kept
        if memory.tensors[name].role in _MADE and memory.names[name].startswith("a.")
    )


def _groups(
    parts: Sequence[ProgramPart], fixed: Fixed, memory: Memory
) -> Iterator[tuple[Fixed, tuple[Part, ...]]]:
    """Yield what computes each equation, and the indices that Python counts around it."""
    for part in parts:
        if isinstance(part, Turns):
            yield from _groups(part.parts, {**fixed, part.index: part.index.name}, memory)
            continue
        assert isinstance(part, Step), "blocks are for vectors, of which no product is made"
        if part.equation.out.name not in memory.seen:
            pairs = parts_of(part, memory)
            yield fixed, tuple(p for pair in pairs for p, _ in apart(*pair, fixed, memory))


@dataclass(slots=True)
class _Seen:
    """Which tensors products read and write, and which are summed, or added up in steps."""

    memory: Memory
    read: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    summed: set[str] = field(default_factory=set)
    added: set[str] = field(default_factory=set)

    def note(self, group: Sequence[Part], fixed: Fixed) -> None:
        """Take note of how an equation reads and writes."""
        for part in group:
            out = self.memory.root(part.out.name)
            if part.accumulate or len(group) > 1 or self._has_bias_of_its_own(part):
                self.added.add(out)
            if not isinstance(part, Total):
                continue
            read = {self.memory.root(a.name) for a in accesses(part.term.body)}
            in_panel = part.out.name in self.memory.local or panel_read(part, self.memory.panels)
            if not in_panel and matmul(part, fixed, self.memory):
                self.read |= read
                self.written.add(out)
            elif matrices(part, tuple(i for i in part.out.indices if i not in fixed)) is None:
                self.summed |= read

    def _has_bias_of_its_own(self, part: Part) -> bool:
        """Whether something is added to a sum that has no copy in bf16: no parameter."""
        plain = part.plain if isinstance(part, Total) else None
        return isinstance(plain, Access) and plain.name not in (self.memory.rounded or {})

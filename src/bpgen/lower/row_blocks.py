"""Chains of maps in blocks of rows, so that what a chain computes stays in the cache.

    Phi[n,h] = erf(√2 z[n,h]/2)/2 + 1/2,  y[n,h] = z[n,h] Phi[n,h]

are carried out for some n, then for the next. No row is computed from another, so the numbers are
the same for any length of a block. A chain pays if it passes over more entries than its arrays
have, and these are more than a cache holds, for the batch that a program is written for. How long
a block is, the batch at hand decides: where all rows are few, they are one block. A product ends a
chain, and what is added to it may begin the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sympy
from sympy import Expr

from bpgen.ir.index import Extent, Index
from bpgen.ir.program import Map, Part, Place, Program, RowBlocks, Step, Turns
from bpgen.ir.tensor import GIVEN, Tensor
from bpgen.lower.by_rows import BLOCK, BLOCKS_AT_LEAST, Around, ByRows, leading
from bpgen.lower.lives import functions_of, results_of, roots_of, written


class Length(Extent):
    """How many of the values `whole` a block has; a row has `row` numbers in all arrays."""

    whole: Extent
    row: Expr

    @classmethod
    def of(cls, whole: Extent, row: Expr) -> Length:
        """Return the length of the blocks of `whole`."""
        length = cls(f"block_{whole}", None)
        length.whole, length.row = whole, row
        return length

    def count(self, batch: int) -> int:
        """Return how many values there are, with so many examples in a batch."""
        many, row = self.whole.count(batch), numbers(self.row, batch)
        return many if many * row < BLOCKS_AT_LEAST * BLOCK else max(1, BLOCK // row)


def row_blocks(program: Program) -> Program:
    """Return `program` with chains of maps in blocks of rows, where that pays."""
    roots = roots_of(functions_of(program).values())
    roots |= {whole.tensor.name: part for whole in program.wholes for part in whole.parts}
    found = _Chains(program.arrays, roots, program.batch)
    blocked = program.changed(found.parts)
    lengths = {whole: Length.of(whole, row) for whole, row in found.rows.items()}
    blocked = blocked.changed(lambda parts: tuple(_measured(part, lengths) for part in parts))
    return replace(blocked, in_turn={**blocked.in_turn, **_of_a_block(blocked)})


@dataclass(frozen=True, slots=True)
class _Chains:
    """The chains of one program; `rows` are the longest rows of those found, by their extent."""

    arrays: Mapping[str, Tensor]
    roots: Mapping[str, str]
    batch: int
    rows: dict[Extent, Expr] = field(default_factory=dict)

    def parts(self, parts: Sequence[Part], around: Around = ()) -> tuple[Part, ...]:
        """Return the parts of a function, or of loops over `around`, with chains in blocks."""
        found: list[Part] = []
        place = 0
        while place < len(parts):
            part = parts[place]
            before, chain = self._chain(parts[place:], around)
            if chain is not None:
                found += (*before, chain)
            elif isinstance(part, Turns):
                inside = self.parts(part.parts, (*around, part.index))
                found.append(replace(part, parts=inside))
            else:
                found.append(part)
            place += len(chain.parts) if chain else 1
        return tuple(found)

    def _chain(
        self, parts: Sequence[Part], around: Around
    ) -> tuple[tuple[Step, ...], RowBlocks | None]:
        """Return the longest chain that begins with the first part, and what comes before it.

        If that is a product to which something is added, the chain begins with what is added.
        """
        first, *rest = parts
        for *before, begin in ((first,), _parted(first)) if isinstance(first, Step) else ():
            index = leading(self.arrays[written(begin).name].indices, around)
            rows = ByRows(index, around, self.arrays, self.roots, self.batch) if index else None
            chain = rows.longest((begin, *rest)) if rows else ()
            if rows and chain and rows.pays(chain):
                self._count(rows, chain)
                return tuple(before), RowBlocks(rows.index, rows.index, chain)
        return (), None

    def _count(self, rows: ByRows, chain: Sequence[Step]) -> None:
        """Take note of how long the rows of a chain are."""
        own, extent = rows.row(chain), rows.index.extent
        known = self.rows.get(extent, own)
        self.rows[extent] = max(known, own, key=lambda row: numbers(row, self.batch))


def _parted(step: Step) -> tuple[Step, ...]:
    """Return a step as two, if it adds to a product: the product, and what is added."""
    equation = step.equation
    products = tuple(s for s in step.statements if not isinstance(s, Map))
    added = tuple(s for s in step.statements if isinstance(s, Map) and s.accumulate)
    over = tuple(term for term in equation.terms if term.over)
    plain = tuple(term for term in equation.terms if not term.over)
    counts = [len(products), len(added), len(products) + len(added)]
    if not added or counts != [len(over), len(plain), len(step.statements)]:
        return (step,)
    first = replace(step, equation=replace(equation, terms=over), statements=products)
    rest = replace(equation, terms=plain)
    return first, replace(step, equation=rest, statements=added, adds=True)


def _measured(part: Part, lengths: Mapping[Extent, Length]) -> Part:
    """Return a part whose blocks have their lengths."""
    match part:
        case RowBlocks(index=index):
            return replace(part, block=Index(f"{index.name}_", lengths[index.extent]))
        case Turns():
            return replace(part, parts=tuple(_measured(p, lengths) for p in part.parts))
        case _:
            return part


# ---- buffers of one block ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Touch:
    """A step that reads a tensor, or assigns it, in blocks or in none."""

    blocks: RowBlocks | None
    assigns: bool


def _of_a_block(program: Program) -> dict[str, Tensor]:
    """Return the tensors that nothing needs but the block that assigns them, with its axis."""
    functions = functions_of(program).values()
    roots = roots_of(functions)
    seen = {*roots, *roots.values(), *results_of(program), program.network.loss}
    seen |= {*program.network.outputs.values()}
    seen |= {name for w in program.wholes for name in (w.tensor.name, *w.parts)}
    touches: dict[str, list[_Touch]] = {}
    for blocks, step in (placed for parts in functions for placed in _placed(parts, None)):
        if any(isinstance(statement, Place) for statement in step.statements):
            seen.add(step.equation.out.name)  # Its border stays.
        for name in step.equation.reads():
            touches.setdefault(name, []).append(_Touch(blocks, assigns=False))
        touches.setdefault(step.equation.out.name, []).append(_Touch(blocks, not step.adds))
    found = {}
    for name in sorted(touches.keys() - seen):
        tensor, first = program.tensors[name], touches[name][0].blocks
        if first is not None and tensor.role not in GIVEN and _are_within(touches[name], first):
            axes = tuple(first.block if i == first.index else i for i in tensor.indices)
            found[name] = replace(tensor, indices=axes)
    return found


def _placed(
    parts: Iterable[Part], around: RowBlocks | None
) -> Iterator[tuple[RowBlocks | None, Step]]:
    """Yield every step with the blocks that it stands in."""
    for part in parts:
        match part:
            case Step():
                yield around, part
            case RowBlocks():
                yield from _placed(part.parts, part)
            case _:
                yield from _placed(part.parts, around)


def _are_within(touches: Sequence[_Touch], first: RowBlocks) -> bool:
    """Whether every touch is in blocks like the first, each of which begins by assigning."""
    begun: list[RowBlocks] = []
    for touch in touches:
        if touch.blocks is None or touch.blocks.index != first.index:
            return False
        if all(one is not touch.blocks for one in begun):
            if not touch.assigns:
                return False
            begun.append(touch.blocks)
    return True


def numbers(size: Expr, batch: int) -> int:
    """Return a product of extents as a number, with so many examples in a batch."""
    extents = size.atoms(Extent)
    return int(size.xreplace({e: sympy.Integer(e.count(batch)) for e in extents}))

"""Whether steps compute each row of memory from itself alone, and how much they move.

A row is what tensors hold for one value of an index, the first along which they lie in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import sympy
from sympy import Basic

from bpgen.cost.operations import operations
from bpgen.ir.expr import Access, Digit, accesses, indices_of
from bpgen.ir.index import Index
from bpgen.ir.program import Contract, Map, Part, Place, Reduce, Statement, Step
from bpgen.ir.tensor import Tensor
from bpgen.lower.lives import is_view, written
from bpgen.lower.reorder import formulas_of

Around = tuple[Index, ...]
# Chains of maps in blocks of rows, by the time they take whole, on arrays of 32 MB each: a norm of
# 512 features 0.80 forward and 0.76 backward, GELU of 2048 features 0.85 and 0.75; with two
# threads, which share the bandwidth of memory, a norm 0.70 and 0.57. A relu, which passes over its
# arrays once, gains nothing, nor do chains that the third-level cache holds.
BLOCK = 1 << 20  # numbers of a block in all arrays of a chain, 4 MB of float32
BLOCKS_AT_LEAST = 16  # fewer are one


@dataclass(frozen=True, slots=True)
class ByRows:
    """Rows of `index`, in loops over `around`.

    `arrays` are tensors with their axes as they lie in memory, `roots` what each view sees; there
    are `batch` examples.
    """

    index: Index
    around: Around
    arrays: Mapping[str, Tensor]
    roots: Mapping[str, str]
    batch: int

    def longest(self, parts: Sequence[Part]) -> tuple[Step, ...]:
        """Return as many of the first parts as may run together, row by row."""
        chain: tuple[Step, ...] = ()
        for part in parts:
            if not isinstance(part, Step) or not self._is_chain((*chain, part)):
                break
            chain = (*chain, part)
        return chain

    def _is_chain(self, chain: Sequence[Step]) -> bool:
        """Whether the steps of `chain` may run row by row, one after the other."""
        outs = {written(step).name for step in chain}
        entries = (a for s in chain for f in _formulas(s) for a in accesses(f))
        return self._is_row(chain[-1]) and all(self._is_read(a, outs) for a in entries)

    def _is_row(self, step: Step) -> bool:
        """Whether a step writes rows, by statements that bring no rows together."""
        axes = self.arrays[written(step).name].indices
        return (
            not is_view(step)
            and not step.also
            and leading(axes, self.around) == self.index
            and any(i.extent.value is None for i in axes)
            and all(map(self._is_within, step.statements))
        )

    def _is_within(self, statement: Statement) -> bool:
        """Whether a statement reads no other row, nor the number of its own."""
        match statement:
            case Map(body=body) | Reduce(body=body):
                return not _counts(body, self.index)
            case Contract(factors=(a, b)):
                return indices_of(a) ^ indices_of(b) <= {*self.around}
            case Place(out=out, parts=parts):
                of_axis = dict(zip(out.indices, parts, strict=True))
                return of_axis[self.index] == (0, self.index.extent.value or 1, 0)
            case _:
                return False

    def _is_read(self, entry: Access, outs: set[str]) -> bool:
        """Whether an entry is one of the same row, or of what has no rows; a view is none."""
        if any(at.has(Digit, Access) for at in entry.indices):
            return False
        axes = self.arrays[entry.name].indices
        at = [k for k, place in enumerate(entry.indices) if place.has(self.index)]
        if any(entry.indices[k] != self.index for k in at) or len(at) > 1:
            return False
        if not at:
            return self.roots.get(entry.name, entry.name) not in outs
        is_view = entry.name not in outs and self.roots.get(entry.name) in outs
        return not is_view and leading(axes, self.around) == axes[at[0]]

    # ---- what it moves ---------------------------------------------------------------------------

    def pays(self, chain: Sequence[Step]) -> bool:
        """Whether a chain passes over more entries than it has, and these fill several blocks."""
        passes = sum(self._moved(s) for step in chain for s in step.statements)
        size = sum(map(self._entries, self._arrays(chain)))
        return passes > size >= BLOCKS_AT_LEAST * BLOCK

    def row(self, chain: Sequence[Step]) -> sympy.Expr:
        """Return how many numbers a row has in all arrays: so many of the largest."""
        arrays = self._arrays(chain)
        largest = max(arrays, key=self._entries)
        many = -(-sum(map(self._entries, arrays)) // self._entries(largest))
        rest = (i.extent for i in largest if i != self.index and i not in self.around)
        return many * sympy.Mul(*rest)

    def _arrays(self, chain: Sequence[Step]) -> list[tuple[Index, ...]]:
        """Return the axes of each tensor with rows that a chain writes or reads."""
        entries = {a.name: a.indices for s in chain for f in _formulas(s) for a in accesses(f)}
        names = [*(n for n, at in entries.items() if self.index in at)]
        names += [written(step).name for step in chain]
        return [self.arrays[name].indices for name in dict.fromkeys(names)]

    def _moved(self, statement: Statement) -> int:
        """Return over how many entries the calls of a statement pass."""
        done = (o for f in formulas_of(statement) for o in operations(_unscaled(f)))
        found = sum(self._entries(indices) for _, indices in done)
        match statement:
            case Reduce(body=body):
                return found + self._entries(indices_of(body))
            case Contract(factors=(a, _)):
                return found + self._entries(indices_of(a))
            case Map(out=out, accumulate=accumulate) if found and not accumulate:
                return found
            case Map(out=out) | Place(out=out):
                return found + self._entries(out.indices)
            case _:
                raise AssertionError(f"{statement} is in no chain")

    def _entries(self, indices: Sequence[Index] | frozenset[Index]) -> int:
        own = (i for i in indices if i not in self.around)
        return prod(i.extent.value or self.batch for i in own)


def leading(axes: Sequence[Index], around: Around) -> Index | None:
    """Return the first axis in memory, of what loops over `around` leave."""
    return next((i for i in axes if i not in around), None)


def _formulas(step: Step) -> Iterator[Basic]:
    for statement in step.statements:
        yield from formulas_of(statement)


def _unscaled(expr: Basic) -> Basic:
    """Return a formula without a number that it is multiplied by, which a sum is instead."""
    return sympy.Mul(*(f for f in sympy.Mul.make_args(expr) if f.has(Access, Index)))


def _counts(expr: Basic, index: Index) -> bool:
    """Whether an index stands for its number, outside of the entries that it picks."""
    if isinstance(expr, Access):
        return False
    return expr == index or any(_counts(arg, index) for arg in expr.args)

"""The order of axes in memory: where windows move, the batch comes last.

    z[n,f,h,w] = Σ_{c,u,v} W[f,c,u,v] x[n,c,h+u,w+v]     lies in memory as z[f,h,w,n]

Neighbours of a window, a step of a pooling, a channel of a norm are then long runs of memory, and
a convolution is one product of matrices, `W[f, c u v] · x[c u v, h w n]`. Formulas stay as they are
declared: what moves is the first axis of some tensors, in every statement that names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bpgen.ir.affine import affine
from bpgen.ir.expr import Access, accesses, indices_of
from bpgen.ir.program import Carry, Contract, Fold, Gather, Part, Program, Reduce, Step, steps_of
from bpgen.ir.tensor import GIVEN, Move, Role, Tensor
from bpgen.lower.reorder import Whole, formulas_of, names_of, reordered, unwrapped

RANK = 3  # Fewer axes make a matrix, which BLAS takes either way round.


def batch_last(program: Program) -> Program:
    """Return `program` with the batch as the last axis of tensors in which windows move."""
    return reordered(program, dict.fromkeys(sorted(_turned(program)), Move(0, -1)))


def _turned(program: Program) -> frozenset[str]:
    """Return the tensors in which windows move, and those computed from them entry by entry."""
    parts = program.computed
    in_rows = {name for s in _statements(parts) for name in _rows(s, program.tensors)}
    free = frozenset(_free(program)) - in_rows
    found: set[str] = set()
    groups = [(s, free & set(names_of(s))) for s in _statements(parts)]
    waiting = {name for s, names in groups if _has_window(s, program.tensors) for name in names}
    while waiting:
        found |= waiting
        near = (names for s, names in groups if names & waiting and _keeps_order(s))
        waiting = set[str]().union(*near) - found
    return frozenset(found)


def _free(program: Program) -> Iterator[str]:
    """Yield the tensors that may be turned: buffers of a batch, which no loop and no user sees.

    One whose turns come first stays so: an axis moves once.
    """
    loops = steps_of(p for p in program.computed if not isinstance(p, Step))
    in_loops = {name for s in loops for name in (s.equation.out.name, *s.equation.reads())}
    seen = {program.network.loss, *program.network.outputs.values(), *in_loops, *program.moves}
    for tensor in program.tensors.values():
        is_made = tensor.role not in GIVEN | {Role.SCALAR} and tensor.name not in seen
        sizes = tensor.shape
        if is_made and len(sizes) >= RANK and sizes[0] is None and None not in sizes[1:]:
            yield tensor.name


def _statements(parts: Iterable[Part]) -> Iterator[Whole]:
    for step in steps_of(parts):
        yield from map(unwrapped, step.statements)


def _has_window(statement: Whole, tensors: Mapping[str, Tensor]) -> bool:
    """Whether a statement sums, or takes the largest, over places that windows overlap or skip."""
    if not isinstance(statement, Reduce | Contract):
        return isinstance(statement, Fold)
    entries = {a for formula in formulas_of(statement) for a in accesses(formula)}
    return any(_is_window(a, tensors[a.name]) for a in entries)


def _is_window(entry: Access, tensor: Tensor) -> bool:
    pairs = zip(entry.indices, tensor.indices, strict=True)
    places = [(affine(at), axis.extent) for at, axis in pairs if not at.has(Access)]
    return any(p and len(p.coefficients) > 1 and not p.is_complete(e) for p, e in places)


def _rows(statement: Whole, tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """Yield the tensors that a product takes, or writes, as rows of features: `x[n,t,c] W[c,d]`.

    With the batch last they would have to be laid out as rows for every product.
    """
    if not isinstance(statement, Contract) or _has_window(statement, tensors):
        return
    batch = {i for i in (*statement.out.indices, *statement.over) if i.extent.value is None}
    of_batch = [f for f in statement.factors if indices_of(f) & batch]
    if not batch or batch & set(statement.over):
        return
    found = {i for f in of_batch for i in indices_of(f)}
    entries = {a for f in of_batch for a in accesses(f)}
    yield from (a.name for a in entries if a.indices[-1] in statement.over or len(of_batch) > 1)
    if statement.out.indices[-1] not in found or len(of_batch) > 1:
        yield statement.out.name


def _keeps_order(statement: Whole) -> bool:
    """Whether entries of what it reads and writes follow each other in the same order."""
    return not isinstance(statement, Contract | Fold | Gather | Carry)

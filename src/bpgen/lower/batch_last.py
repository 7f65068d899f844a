"""The order of axes in memory: where windows move, the batch comes last.

    z[n,f,h,w] = Σ_{c,u,v} W[f,c,u,v] x[n,c,h+u,w+v]     lies in memory as z[f,h,w,n]

Neighbours of a window, a step of a pooling, a channel of a norm are then long runs of memory, and
a convolution is one product of matrices, `W[f, c u v] · x[c u v, h w n]`. Formulas stay as they are
declared: what moves is the first axis of some tensors, in every statement that names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from sympy import Basic

from bpgen.ir.affine import affine
from bpgen.ir.expr import Access, accesses, indices_of
from bpgen.ir.index import Index
from bpgen.ir.program import (
    Carry,
    Contract,
    Fold,
    Gather,
    Map,
    Part,
    Place,
    Program,
    Reduce,
    Single,
    Statement,
    Step,
    View,
    steps_of,
)
from bpgen.ir.tensor import GIVEN, Role, Tensor

Whole = Map | Reduce | Contract | Fold | Gather | View | Place | Carry

RANK = 3  # Fewer axes make a matrix, which BLAS takes either way round.


def batch_last(program: Program) -> Program:
    """Return `program` with the batch as the last axis of tensors in which windows move."""
    turned = _turned(program)
    if not turned:
        return program
    return replace(program.changed(_Turn(turned).parts), turned=turned)


# ---- which tensors -------------------------------------------------------------------------------


def _turned(program: Program) -> frozenset[str]:
    """Return the tensors in which windows move, and those computed from them entry by entry."""
    parts = program.computed
    in_rows = {name for s in _statements(parts) for name in _rows(s, program.tensors)}
    free = frozenset(_free(program)) - in_rows
    found: set[str] = set()
    groups = [(s, free & set(_names(s))) for s in _statements(parts)]
    waiting = {name for s, names in groups if _has_window(s, program.tensors) for name in names}
    while waiting:
        found |= waiting
        near = (names for s, names in groups if names & waiting and _keeps_order(s))
        waiting = set[str]().union(*near) - found
    return frozenset(found)


def _free(program: Program) -> Iterator[str]:
    """Yield the tensors that may be turned: buffers of a batch, which no loop and no user sees."""
    loops = steps_of(p for p in program.computed if not isinstance(p, Step))
    in_loops = {name for s in loops for name in (s.equation.out.name, *s.equation.reads())}
    seen = {program.network.loss, *program.network.outputs.values(), *in_loops}
    for tensor in program.tensors.values():
        is_made = tensor.role not in GIVEN | {Role.SCALAR} and tensor.name not in seen
        sizes = tensor.shape
        if is_made and len(sizes) >= RANK and sizes[0] is None and None not in sizes[1:]:
            yield tensor.name


def _statements(parts: Iterable[Part]) -> Iterator[Whole]:
    for step in steps_of(parts):
        yield from map(_inner, step.statements)


def _inner(statement: Statement) -> Whole:
    return _inner(statement.statement) if isinstance(statement, Single) else statement


def _names(statement: Whole) -> Iterator[str]:
    yield statement.out.name
    for formula in _formulas(statement):
        yield from (a.name for a in accesses(formula))


def _formulas(statement: Whole) -> tuple[Basic, ...]:
    match statement:
        case Map() | Reduce():
            return (statement.body,)
        case Contract():
            return statement.factors
        case Fold():
            return (statement.kernel, statement.entry)
        case View() | Gather():
            return (statement.read,)
        case Place():
            return (statement.pad,)
        case Carry():
            return (statement.entry,)
        case _:
            raise AssertionError(f"{statement} has its formulas elsewhere")


def _has_window(statement: Whole, tensors: Mapping[str, Tensor]) -> bool:
    """Whether a statement sums, or takes the largest, over places that windows overlap or skip."""
    if not isinstance(statement, Reduce | Contract):
        return isinstance(statement, Fold)
    entries = {a for formula in _formulas(statement) for a in accesses(formula)}
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


# ---- the turn ------------------------------------------------------------------------------------


class _Turn:
    """Statements with the first axis of some tensors moved to the end."""

    def __init__(self, turned: frozenset[str]) -> None:
        self._turned = turned

    def parts(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """Return `parts` with every statement outside loops rewritten."""
        return tuple(self._step(p) if isinstance(p, Step) else p for p in parts)

    def _step(self, step: Step) -> Step:
        return replace(step, statements=tuple(map(self._statement, step.statements)))

    def _statement(self, statement: Statement) -> Statement:
        match statement:
            case Single():
                inner = self._statement(statement.statement)
                assert isinstance(inner, Map | Reduce | Contract | Single)
                return replace(statement, statement=inner)
            case Map():
                body = self._formula(statement.body)
                return replace(statement, out=self._tensor(statement.out), body=body)
            case Reduce():
                out, body = self._tensor(statement.out), self._formula(statement.body)
                return replace(statement, out=out, body=body, over=_last(statement.over))
            case Contract():
                out, factors = self._tensor(statement.out), map(self._formula, statement.factors)
                over = _last(statement.over)
                return replace(statement, out=out, factors=tuple(factors), over=over)
            case Fold():
                out, kernel = self._tensor(statement.out), self._formula(statement.kernel)
                entry = self._formula(statement.entry)
                return replace(statement, out=out, kernel=kernel, entry=entry)
            case Place():
                return self._place(statement)
            case View():
                return self._view(statement)
            case Gather():
                return Gather(self._tensor(statement.out), self._formula(statement.read))
            case _:
                return statement

    def _place(self, place: Place) -> Place:
        parts = place.parts
        if place.out.name in self._turned:
            parts = (*parts[1:], parts[0])
        return replace(
            place, out=self._tensor(place.out), pad=self._formula(place.pad), parts=parts
        )

    def _view(self, view: View) -> Statement:
        """Return the view; between memory of both kinds there is none, and entries are copied."""
        out, read = self._tensor(view.out), self._formula(view.read)
        same = (view.out.name in self._turned) == (view.read.name in self._turned)
        return View(out, read) if same else Map(out, read)

    def _tensor(self, tensor: Tensor) -> Tensor:
        return tensor.batch_last() if tensor.name in self._turned else tensor

    def _formula(self, expr: Basic) -> Basic:
        if not expr.args or not expr.has(Access):
            return expr
        args = [self._formula(a) for a in expr.args]
        if isinstance(expr, Access) and expr.name in self._turned:
            head, first, *rest = args
            args = [head, *rest, first]
        return expr.func(*args)


def _last(over: tuple[Index, ...]) -> tuple[Index, ...]:
    """Return the indices of a sum with the batch at the end, as memory has it."""
    return tuple(sorted(over, key=lambda i: i.extent.value is None))

"""From an equation to statements: which kind of operation computes each term."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import sympy
from sympy import Expr

from bpgen.ir.affine import affine
from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Access, Delta, Digit, Pad
from bpgen.ir.index import Index
from bpgen.ir.program import (
    Carry,
    Contract,
    Fold,
    Gather,
    Map,
    Place,
    Reduce,
    Single,
    Statement,
    Step,
    View,
)
from bpgen.ir.reshape import is_part
from bpgen.ir.tensor import Role, Tensor
from bpgen.lower.products import factors_of, paired


def step(
    equation: Equation,
    tensors: Mapping[str, Tensor],
    around: tuple[Index, ...] = (),
    *,
    adds: bool = False,
) -> Step:
    """Return the statements of `equation`: products first, so that the rest is added in place.

    `around` are the indices of the loops it stands in; with `adds` the result holds terms already.
    """
    found = [_single(equation, term, tensors, around) for term in equation.terms]
    singles = [s for s in found if isinstance(s, Single)]
    whole = [s for s in found if not isinstance(s, Single)]
    whole.sort(key=lambda s: _ORDER.index(type(s)))
    if adds:
        return Step(equation, tuple(map(_added, (*whole, *singles))), adds=True)
    if whole and all(isinstance(s, Place) for s in found):
        of = tensors.get(equation.out.of)
        is_gradient = of is not None and of.role is Role.PARAMETER
        if _are_apart([s for s in whole if isinstance(s, Place)], whole=is_gradient):
            return Step(equation, tuple(whole))
    if not whole and _cover(singles):
        return Step(equation, tuple(_once(singles)))
    if not whole or isinstance(whole[0], Place):
        whole = [Map(equation.out, sympy.S.Zero), *whole]
    return Step(equation, (whole[0], *map(_added, (*whole[1:], *singles))))


_ORDER = (Contract, Reduce, Gather, View, Map, Place, Carry)


def _added(statement: Statement) -> Statement:
    if isinstance(statement, Single):
        inner = _added(statement.statement)
        assert isinstance(inner, Map | Reduce | Contract | Single)
        return replace(statement, statement=inner)
    assert not isinstance(statement, Fold | Gather | View), f"{statement} stands alone"
    return replace(statement, accumulate=True)


def _once(singles: Sequence[Single]) -> Iterator[Statement]:
    """Let the first statement for each value of an index assign, and the others add."""
    seen: set[Expr] = set()
    for single in singles:
        yield _added(single) if single.at in seen else single
        seen.add(single.at)


def _cover(singles: Sequence[Single]) -> bool:
    """Whether the statements together write every entry of their axis."""
    if any(isinstance(s.statement, Single) for s in singles):
        return False
    indices = {s.index for s in singles}
    places = {s.at for s in singles}
    return len(indices) == 1 and places == set(range(indices.pop().extent.value or 0))


def _are_apart(places: list[Place], *, whole: bool) -> bool:
    """Whether no entry is written twice, and every one is if `whole`.

    What is not written keeps its first value; a gradient is the caller's memory and has none.
    """
    boxes = [[(begin, end) for begin, end, _ in p.parts] for p in places]
    apart = all(
        any(a[1] <= b[0] or b[1] <= a[0] for a, b in zip(one, other, strict=True))
        for one, other in combinations(boxes, 2)
    )
    written = sum(math.prod(end - begin for begin, end in box) for box in boxes)
    entries = math.prod(i.extent.value or 1 for i in places[0].out.indices)
    return apart and (written == entries or not whole)


def _single(
    equation: Equation, term: Term, tensors: Mapping[str, Tensor], around: tuple[Index, ...]
) -> Statement:
    """Compute a term that is 0 but at one value of an index there, and nowhere else."""
    for factor in sympy.Mul.make_args(term.body):
        if isinstance(factor, Delta) and not factor.args[1].has(Access, Index):
            index, at = factor.args
            if index in equation.out.indices and index not in around:
                body = term.body.xreplace({factor: sympy.S.One}).xreplace({index: at})
                inner = _single(equation, Term(body, term.over), tensors, around)
                if not isinstance(inner, Map | Reduce | Contract | Single):
                    inner = Map(equation.out, body)
                return Single(index, at, inner)
    return _statement(equation, term, tensors, around)


def _statement(
    equation: Equation, term: Term, tensors: Mapping[str, Tensor], around: tuple[Index, ...]
) -> Statement:
    out, body = equation.out, term.body
    if term.over:
        return _reduction(out, term, equation.op)
    if body.has(Pad):
        (pad,) = body.atoms(Pad)
        turn = [i for i in around if any(at != i and at.has(i) for at in pad.entry.indices)]
        if turn:
            return Carry(out, pad.entry, pad.value, turn[0], scale=body / pad)
        return _place(out, body, tensors)
    if isinstance(body, Access) and len(equation.terms) == 1:
        if any(at.has(Access) for at in body.indices):
            return Gather(out, body)
        viewed = any(_is_viewed(at) for at in body.indices) or _joins(body, tensors)
        pairs = zip(body.indices, tensors[body.name].indices, strict=True)
        if viewed and not any(is_part(at, axis) for at, axis in pairs):
            return View(out, body)
    return Map(out, body)


def _is_viewed(at: Expr) -> bool:
    """Whether an index expression is a digit, or one entry of an axis."""
    return isinstance(at, Digit) or not at.has(Index)


def _joins(read: Access, tensors: Mapping[str, Tensor]) -> bool:
    """Whether `read` takes an axis apart, `g R + r`, and reads all of it: a view."""
    if not any(isinstance(at, sympy.Add) for at in read.indices):
        return False
    pairs = zip(read.indices, tensors[read.name].indices, strict=True)
    found = [(affine(at), i.extent) for at, i in pairs if not isinstance(at, Index)]
    return all(a is not None and a.is_complete(extent) for a, extent in found)


def _place(out: Tensor, body: Expr, tensors: Mapping[str, Tensor]) -> Place:
    (pad,) = body.atoms(Pad)
    shifts: dict[Index, int] = {}
    ends: dict[Index, int | None] = {}
    for at, axis in zip(pad.entry.indices, tensors[pad.entry.name].indices, strict=True):
        found = affine(at)
        assert found is not None, f"{at} is no shift"
        for index in found.coefficients:
            shifts[index], ends[index] = found.offset, axis.extent.value
    parts = []
    for index in out.indices:
        length, shift, end = index.extent.value, shifts.get(index, 0), ends.get(index)
        if length is None or end is None:
            parts.append((0, length or 1, 0))
        else:
            parts.append((max(0, -shift), min(length, end - shift), shift))
    return Place(out, pad, body / pad, tuple(parts))


def _reduction(out: Tensor, term: Term, op: Op) -> Statement:
    scale, factors = factors_of(term.body)
    if op is not Op.SUM or len(factors) < 2:
        return Reduce(out, term.body, term.over, op)
    return Contract(out, paired(factors, out.indices), term.over, scale)

"""From an equation to statements: which kind of operation computes each term."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import sympy
from sympy import Expr

from bpgen.ir.affine import affine
from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Access, Digit, Pad, indices_of
from bpgen.ir.index import Index
from bpgen.ir.program import Contract, Gather, Map, Place, Reduce, Statement, Step, View
from bpgen.ir.tensor import Role, Tensor


def step(equation: Equation, tensors: Mapping[str, Tensor]) -> Step:
    """Return the statements of `equation`: products first, so that the rest is added in place."""
    found = [_statement(equation, term, tensors) for term in equation.terms]
    found.sort(key=lambda s: (Contract, Reduce, Gather, View, Map, Place).index(type(s)))
    places = [s for s in found if isinstance(s, Place)]
    of = tensors.get(equation.out.of)
    is_gradient = of is not None and of.role is Role.PARAMETER
    if len(places) == len(found) and _are_apart(places, whole=is_gradient):
        return Step(equation, tuple(found))
    if len(places) == len(found):
        found = [Map(equation.out, sympy.S.Zero), *places]
    return Step(equation, (found[0], *(_added(s) for s in found[1:])))


def _added(statement: Statement) -> Statement:
    assert isinstance(statement, Map | Reduce | Contract | Place), f"{statement} stands alone"
    return replace(statement, accumulate=True)


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


def _statement(equation: Equation, term: Term, tensors: Mapping[str, Tensor]) -> Statement:
    out, body = equation.out, term.body
    if term.over:
        return _reduction(out, term, equation.op)
    if body.has(Pad):
        return _place(out, body, tensors)
    if isinstance(body, Access) and len(equation.terms) == 1:
        if any(at.has(Access) for at in body.indices):
            return Gather(out, body)
        if any(isinstance(at, Digit) for at in body.indices) or _joins(body, tensors):
            return View(out, body)
    return Map(out, body)


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
    factors = sympy.Mul.make_args(term.body)
    plain = [f for f in factors if not f.has(Access, Index)]
    entries = [base for f in factors if f not in plain for base in _unsquared(f)]
    if op is not Op.SUM or len(entries) < 2:
        return Reduce(out, term.body, term.over, op)
    groups = _grouped(entries)
    return Contract(out, tuple(groups), term.over, sympy.Mul(*plain))


def _unsquared(factor: Expr) -> tuple[Expr, ...]:
    """Write the square of an entry as a product: its sum is that of a tensor with itself."""
    base, exponent = factor.as_base_exp()
    return (base, base) if isinstance(base, Access) and exponent == 2 else (factor,)


def _grouped(factors: list[Expr]) -> list[Expr]:
    """Multiply factors together until two are left, if that needs no larger iteration space.

    A factor joins the smallest other one that has all its indices: `a[n] x[n,d] g[n,h]` becomes
    `(a[n] x[n,d]) g[n,h]`.
    """
    groups = sorted(factors, key=lambda f: (len(indices_of(f)), sympy.default_sort_key(f)))
    while len(groups) > 2:
        place = next(
            (
                (k, j)
                for k, small in enumerate(groups)
                for j, large in enumerate(groups)
                if j != k and indices_of(small) <= indices_of(large)
            ),
            None,
        )
        if place is None:
            return groups
        k, j = place
        rest = [g for at, g in enumerate(groups) if at not in place]
        groups = [groups[k] * groups[j], *rest]
    return groups

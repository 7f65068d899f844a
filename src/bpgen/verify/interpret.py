"""The reference meaning of equations, over any numbers, independent of how code is emitted.

Each equation is read as it stands: its formula on the grid of its indices, then the sum or the
maximum.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce

import numpy as np
import sympy

from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.index import Extent
from bpgen.ir.tensor import Role
from bpgen.verify.contract import sum_of_product
from bpgen.verify.formula import Floats, Scope, Signs, decided, signs, value
from bpgen.verify.numbers import Array, Numbers
from bpgen.verify.switch import Switch

Values = Mapping[str, Array]
Extents = Mapping[Extent, int]


def evaluate(
    equations: Iterable[Equation],
    values: Values,
    extents: Extents,
    numbers: Numbers,
    watch: Callable[[Switch], None] = lambda switch: None,
) -> dict[str, Array]:
    """Return all tensors: `values`, and what `equations` define, in order.

    A tensor that `values` already holds is frozen: its equation is not read. `watch` is told every
    switch.
    """
    laned = {name: array[np.newaxis] for name, array in values.items()}
    known = evaluate_lanes(equations, laned, extents, numbers, watch)
    return {name: array.reshape(array.shape[1:]) for name, array in known.items()}


def evaluate_lanes(
    equations: Iterable[Equation],
    values: Values,
    extents: Extents,
    numbers: Numbers,
    watch: Callable[[Switch], None] = lambda switch: None,
) -> dict[str, Array]:
    """Evaluate many copies at once: axis 0 of every tensor, of length 1 where all agree."""
    known = dict(values)
    with numbers.working():
        for equation in equations:
            if equation.out.name not in known:
                known[equation.out.name] = _left_side(equation, known, extents, numbers, watch)
    return known


def needed(equations: Sequence[Equation], wanted: Iterable[str]) -> tuple[Equation, ...]:
    """Return the equations that `wanted` depend on, in order."""
    names, kept = set(wanted), []
    for equation in reversed(equations):
        if equation.out.name in names:
            names.update(equation.reads())
            kept.append(equation)
    return tuple(reversed(kept))


def downstream(equations: Iterable[Equation], names: Iterable[str]) -> frozenset[str]:
    """Return the tensors that depend on any of `names`, without these."""
    moved = set(names)
    for equation in equations:
        if moved.intersection(equation.reads()):
            moved.add(equation.out.name)
    return frozenset(moved.difference(names))


def operations(equations: Iterable[Equation], extents: Extents) -> int:
    """Return how many entries of formulas are read: the cost of an evaluation."""
    grids = ((*e.out.indices, *t.over) for e in equations for t in e.terms)
    return sum(int(np.prod([extents[i.extent] for i in grid])) for grid in grids)


def _left_side(
    equation: Equation,
    known: Values,
    extents: Extents,
    numbers: Numbers,
    watch: Callable[[Switch], None],
) -> Array:
    def tell(condition: str, found: Array, distances: Array) -> None:
        # What is held is one number to both sides of a proof, whichever way it was chosen.
        if equation.out.role is not Role.CONSTANT:
            watch(Switch(equation, condition, found, distances))

    sizes = [extents[i.extent] for i in equation.out.indices]
    parts = []
    for term in equation.terms:
        scope = Scope(known, extents, numbers, equation.out.indices + term.over, tell)
        match equation.op:
            case Op.SUM:
                part = _sum(term, scope)
            case Op.MAX:
                part = _maximum(term, scope)[0]
            case Op.ARGMAX:
                part = _maximum(term, scope)[1]
        parts.append(part.reshape(part.shape[: 1 + len(sizes)]))
    total: Array = reduce(operator.add, parts)
    return np.broadcast_to(total, (total.shape[0], *sizes))


def _sum(term: Term, scope: Scope) -> Array:
    if not term.over:
        return value(term.body, scope)
    factors = [value(f, scope) for f in sympy.Mul.make_args(term.body)]
    first = 1 + len(scope.axes) - len(term.over)
    over = {first + k: scope.extents[index.extent] for k, index in enumerate(term.over)}
    return sum_of_product(factors, over, scope.numbers)


def _maximum(term: Term, scope: Scope) -> tuple[Array, Array]:
    """Return the first largest value and its address, over the one index of the term."""
    (index,) = term.over
    body = value(term.body, scope)
    choices = np.broadcast_to(body, (*body.shape[:-1], scope.extents[index.extent]))
    best, at = choices[..., 0], np.zeros(choices.shape[:-1], np.int64)
    for k in range(1, choices.shape[-1]):
        larger = decided(*_compared(choices[..., k], best, scope)) > 0
        best, at = np.where(larger, choices[..., k], best), np.where(larger, k, at)
    found, distance = _compared(best[..., np.newaxis], choices, scope)
    others = np.arange(choices.shape[-1]) != at[..., np.newaxis]
    scope.watch(f"max over {index} of {term.body}", found[others], np.abs(distance[others]))
    return best, at


def _compared(a: Array, b: Array, scope: Scope) -> tuple[Signs, Floats]:
    """Return the signs of a - b, and the distances; two borders of -∞ are tied for good."""
    found, distance = signs(a - b, scope)
    outside = np.isneginf(scope.numbers.nearest(a)) & np.isneginf(scope.numbers.nearest(b))
    return np.where(outside, 0, found).astype(np.int8), np.where(outside, np.inf, distance)

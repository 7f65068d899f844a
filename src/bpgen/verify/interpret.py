"""The reference meaning of equations, over any numbers, independent of how code is emitted.

Each equation is read as it stands: its formula on the grid of its indices, then the sum or the
maximum. Equations of a loop are read in turn for each value of its index, which is fixed meanwhile.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import sympy

from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.equation import needed as kept
from bpgen.ir.index import Extent, Index
from bpgen.ir.order import Group, Loop, flat, ordered
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
        for group in ordered(e for e in equations if e.out.name not in known):
            _compute(group, _Reading(known, extents, numbers, watch, {}))
    return known


def needed(equations: Sequence[Equation], wanted: Iterable[str]) -> tuple[Equation, ...]:
    """Return the equations that `wanted` depend on, in order."""
    return tuple(kept(equations, wanted))


def downstream(equations: Iterable[Equation], names: Iterable[str]) -> frozenset[str]:
    """Return the tensors that depend on any of `names`, without these."""
    moved = set(names)
    for group in ordered(equations):
        inside = flat((group,))
        if moved.intersection(name for e in inside for name in e.reads()):
            moved.update(e.out.name for e in inside)
    return frozenset(moved.difference(names))


def operations(equations: Iterable[Equation], extents: Extents) -> int:
    """Return how many entries of formulas are read: the cost of an evaluation."""
    grids = ((*e.out.indices, *t.over) for e in equations for t in e.terms)
    return sum(int(np.prod([extents[i.extent] for i in grid])) for grid in grids)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What equations are read in: `known` grows; `fixed` holds the indices of the loops around."""

    known: dict[str, Array]
    extents: Extents
    numbers: Numbers
    watch: Callable[[Switch], None]
    fixed: Mapping[Index, int]

    def sizes(self, equation: Equation) -> list[int]:
        """Return the extents of the left side, 1 for a fixed index."""
        return [1 if i in self.fixed else self.extents[i.extent] for i in equation.out.indices]

    def slab(self, index: Index) -> slice:
        """Return where a turn writes along the axis of `index`."""
        at = self.fixed.get(index)
        return slice(None) if at is None else slice(at, at + 1)


def _compute(group: Group, reading: _Reading) -> None:
    """Add what `group` defines to what is known."""
    if not isinstance(group, Loop):
        found = _left_side(group, reading)
        if reading.fixed:
            at = tuple(reading.slab(i) for i in group.out.indices)
            reading.known[group.out.name][(slice(None), *at)] = found
        else:
            reading.known[group.out.name] = found
        return
    if not reading.fixed:
        _allocate(group.equations(), reading)
    turns = range(reading.extents[group.index.extent])
    for turn in reversed(turns) if group.reverse else turns:
        inside = replace(reading, fixed={**reading.fixed, group.index: turn})
        for part in group.body:
            _compute(part, inside)


def _allocate(equations: Sequence[Equation], reading: _Reading) -> None:
    """Make room for what a loop defines, with as many lanes as anything it reads."""
    read = {name for e in equations for name in e.reads()} & set(reading.known)
    lanes = max((len(reading.known[name]) for name in read), default=1)
    for equation in equations:
        empty = np.zeros((lanes, *reading.sizes(equation)), np.int64)
        reading.known[equation.out.name] = reading.numbers.array(empty)


def _left_side(equation: Equation, reading: _Reading) -> Array:
    def tell(condition: str, found: Array, distances: Array) -> None:
        # What is held is one number to both sides of a proof, whichever way it was chosen.
        if equation.out.role is not Role.CONSTANT:
            is_branch = equation.op is Op.SUM
            reading.watch(Switch(equation, condition, found, distances, is_branch))

    sizes = reading.sizes(equation)
    parts = []
    for term in equation.terms:
        axes = equation.out.indices + term.over
        scope = Scope(reading.known, reading.extents, reading.numbers, axes, tell, reading.fixed)
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

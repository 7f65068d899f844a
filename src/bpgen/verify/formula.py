"""The value of a scalar formula on a grid of indices.

Axis 0 of every array is for lanes (copies of the network with other numbers); then comes one axis
for each index of the equation, of length 1 where the formula does not depend on that index.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from sympy import Basic
from sympy.core.relational import Relational

from bpgen.errors import UndecidedError
from bpgen.ir.expr import Access, Delta, Digit, Pad, Where, accesses
from bpgen.ir.index import Extent, Index
from bpgen.verify.numbers import UNDECIDED, Array, Numbers

Integers = NDArray[np.int64]
Signs = NDArray[np.int8]
Floats = NDArray[np.float64]
Watch = Callable[[str, Signs, Floats], None]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a formula is read in: tensors by name (lanes first), extents, and the grid's indices.

    `fixed` are indices with one value, that of a loop's turn; their axes have length 1. `watch` is
    told the signs of every comparison of numbers, and the distances from the switch.
    """

    values: Mapping[str, Array]
    extents: Mapping[Extent, int]
    numbers: Numbers
    axes: tuple[Index, ...]
    watch: Watch
    fixed: Mapping[Basic, int] = field(default_factory=dict)

    def along(self, index: Index) -> Integers:
        """Return 0 … extent-1 along the axis of `index`, or the one value it has."""
        if index in self.fixed:
            return self.alone(np.array(self.fixed[index]))
        shape = [1] * (1 + len(self.axes))
        shape[1 + self.axes.index(index)] = -1
        return np.arange(self.extents[index.extent]).reshape(shape)

    def slab(self, index: Basic) -> slice:
        """Return the part of an axis that `index` visits: one entry, if it is fixed."""
        at = self.fixed.get(index)
        return slice(None) if at is None else slice(at, at + 1)

    def alone(self, value: Array) -> Array:
        """Return an array of one entry, with the grid's axes."""
        return value.reshape((1,) * (1 + len(self.axes)))


def value(expr: Basic, scope: Scope) -> Array:  # noqa: C901  one case a node
    """Return the numbers of `expr` on the grid."""
    match expr:
        case Index() | Extent() | Digit():
            return scope.numbers.array(address(expr, scope))
        case Access():
            return _entry(expr, scope, sympy.nan)
        case Pad():
            return _entry(expr.entry, scope, expr.value)
        case Delta():
            same = address(expr.args[0], scope) == address(expr.args[1], scope)
            return scope.numbers.array(same.astype(np.int64))
        case Where():
            condition, a, b = expr.args
            return np.where(holds(condition, scope), value(a, scope), value(b, scope))
        case sympy.Add():
            return reduce(operator.add, (value(a, scope) for a in expr.args))
        case sympy.Mul():
            return reduce(operator.mul, (value(a, scope) for a in expr.args))
        case sympy.Pow():
            return _power(expr, scope)
        case sympy.Number() | sympy.NumberSymbol():
            return scope.alone(scope.numbers.constant(expr))
        case sympy.Function():
            return scope.numbers.function(expr.func.__name__, value(expr.args[0], scope))
        case _:
            raise UndecidedError(
                f"the interpreter has no meaning for {type(expr).__name__} in {expr}"
            )


def address(expr: Basic, scope: Scope) -> Integers:
    """Return the integers of an index expression on the grid."""
    match expr:
        case Index():
            return scope.along(expr)
        case Extent():
            return scope.alone(np.array(scope.extents[expr]))
        case sympy.Integer():
            return scope.alone(np.array(int(expr)))
        case Access():
            return _entry(expr, scope, sympy.nan)
        case Digit():
            index, stride, extent = (address(a, scope) for a in expr.args)
            return index // stride % extent
        case sympy.Add():
            return reduce(operator.add, (address(a, scope) for a in expr.args))
        case sympy.Mul():
            return reduce(operator.mul, (address(a, scope) for a in expr.args))
        case _:
            raise UndecidedError(f"the interpreter has no meaning for the address {expr}")


def holds(condition: Basic, scope: Scope) -> NDArray[np.bool_]:
    """Return where `condition` holds: by signs, which complex numbers and balls have too."""
    match condition:
        case Relational():
            compare = _COMPARE[condition.func]
            if _is_integral(condition, scope):
                a, b = (address(side, scope) for side in condition.args)
                return np.asarray(compare(a, b))
            return np.asarray(compare(_compared(condition, scope), 0))
        case sympy.And():
            return reduce(operator.and_, (holds(a, scope) for a in condition.args))
        case sympy.Or():
            return reduce(operator.or_, (holds(a, scope) for a in condition.args))
        case sympy.Not():
            return ~holds(condition.args[0], scope)
        case _:
            raise UndecidedError(f"the interpreter has no meaning for the condition {condition}")


def signs(difference: Array, scope: Scope) -> tuple[Signs, Floats]:
    """Return the signs of a difference as far as they are proved, and the nearest floats."""
    return scope.numbers.sign(difference), scope.numbers.nearest(difference)


def decided(found: Signs, difference: Floats) -> Signs:
    """Return the signs; where a ball leaves one open, that of its midpoint."""
    # Where neither says anything, a ball around two borders of -∞, there is nothing to choose.
    midpoint = np.nan_to_num(np.sign(difference))
    return np.where(found == UNDECIDED, midpoint, found).astype(np.int8)


def _compared(condition: Relational, scope: Scope) -> Signs:
    found, difference = signs(value(condition.lhs, scope) - value(condition.rhs, scope), scope)
    scope.watch(str(condition), found, np.abs(difference))
    return decided(found, difference)


_COMPARE: dict[type[Basic], Callable[[Any, Any], Any]] = {
    sympy.Gt: operator.gt,
    sympy.Ge: operator.ge,
    sympy.Lt: operator.lt,
    sympy.Le: operator.le,
    sympy.Eq: operator.eq,
    sympy.Ne: operator.ne,
}


def _is_integral(condition: Relational, scope: Scope) -> bool:
    """Whether only integers are compared: positions and labels never move."""
    entries = accesses(condition)
    if any(scope.values[e.name].dtype.kind != "i" for e in entries):
        return False
    heads = {e.head for e in entries}
    return all(s in heads or isinstance(s, Index | Extent) for s in condition.free_symbols)


def _entry(read: Access, scope: Scope, outside: sympy.Expr) -> Array:
    """Return what `read` reads; an entry outside the tensor is not a number, unless it is padded.

    A choice may skip what is not a number, a sum cannot hide it.
    """
    held = scope.values[read.name]
    if _is_plain(read, held, scope):
        return _regridded(held, read, scope)
    lane = np.arange(held.shape[0]).reshape((-1,) + (1,) * len(scope.axes))
    at = [address(i, scope) for i in read.indices]
    inside = [np.clip(a, 0, size - 1) for a, size in zip(at, held.shape[1:], strict=True)]
    found: Array = held[(lane, *inside)]
    strays = [a != b for a, b in zip(at, inside, strict=True)]
    if not any(s.any() for s in strays):
        return found
    return np.where(reduce(operator.or_, strays), value(outside, scope), found)


def _is_plain(read: Access, held: Array, scope: Scope) -> bool:
    """Whether each axis is read by an index of its own, from its first entry to its last."""
    ats = read.indices
    return len({*ats}) == len(ats) and all(
        isinstance(at, Index) and scope.extents[at.extent] == size
        for at, size in zip(ats, held.shape[1:], strict=True)
    )


def _regridded(held: Array, read: Access, scope: Scope) -> Array:
    """Return the tensor on the grid, at the fixed indices: axes in other places, nothing copied."""
    held = held[(slice(None), *map(scope.slab, read.indices))]
    places = [scope.axes.index(at) for at in read.indices]
    shape = [held.shape[0]] + [1] * len(scope.axes)
    for place, size in zip(places, held.shape[1:], strict=True):
        shape[1 + place] = size
    order = sorted(range(len(places)), key=places.__getitem__)
    return held.transpose(0, *(1 + k for k in order)).reshape(shape)


def _power(expr: sympy.Pow, scope: Scope) -> Array:
    base, exponent = value(expr.base, scope), expr.exp
    if isinstance(exponent, sympy.Integer):
        return scope.numbers.power(base, int(exponent))
    if isinstance(exponent, sympy.Rational) and exponent.q == 2:
        return scope.numbers.power(scope.numbers.function("sqrt", base), int(exponent.p))
    return scope.numbers.power(base, value(exponent, scope))

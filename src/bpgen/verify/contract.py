"""Sums of products on a grid, as products of matrices where the sum is one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import mul

import numpy as np

from bpgen.verify.numbers import Array, Numbers


def sum_of_product(factors: Sequence[Array], over: Mapping[int, int], numbers: Numbers) -> Array:
    """Return Σ Π factors over the axes `over` (axis: extent), which stay with length 1.

    All factors have the same number of axes, of length 1 where a factor does not vary.
    """
    left, *rest = _grouped(factors)
    varying = {axis for f in factors for axis in over if f.shape[axis] > 1}
    copies = math.prod(extent for axis, extent in over.items() if axis not in varying)
    if rest:
        right = rest[0]
        result = _contracted(
            _presummed(left, right, over), _presummed(right, left, over), over, numbers
        )
    else:
        result = left.sum(axis=tuple(varying), keepdims=True)
    return result if copies == 1 else result * numbers.array(np.array([copies]))


def _grouped(factors: Sequence[Array]) -> list[Array]:
    """Multiply the factors up to two: those within the axes of the largest, and the rest."""
    first, *others = sorted(factors, key=lambda f: -f.size)
    within = [first, *(f for f in others if _axes(f) <= _axes(first))]
    beyond = [f for f in others if not _axes(f) <= _axes(first)]
    if not beyond and len(within) > 1:
        beyond.append(within.pop())
    return [reduce(mul, group) for group in (within, beyond) if group]


def _axes(factor: Array) -> frozenset[int]:
    return frozenset(axis for axis, size in enumerate(factor.shape) if size > 1)


def _presummed(factor: Array, other: Array, over: Mapping[int, int]) -> Array:
    """Sum over what `other` does not depend on: Σ_r a[r] b = b Σ_r a[r]."""
    alone = tuple(axis for axis in over if axis in _axes(factor) - _axes(other))
    return np.asarray(factor.sum(axis=alone, keepdims=True)) if alone else factor


def _contracted(left: Array, right: Array, over: Mapping[int, int], numbers: Numbers) -> Array:
    """Sum over the axes that both factors share, as a stack of matrix products."""
    both = _axes(left) & _axes(right)
    summed = sorted(both & set(over))
    if not summed:
        return left * right
    stack = sorted(both - set(over))
    rows, columns = sorted(_axes(left) - both), sorted(_axes(right) - both)
    product = numbers.product(
        _matrices(left, stack, rows, summed), _matrices(right, stack, summed, columns)
    )
    return _regridded(product, left, right, stack + rows + columns)


def _matrices(factor: Array, *groups: list[int]) -> Array:
    """Return the factor with its axes in three groups, each flattened to one."""
    order = [axis for group in groups for axis in group]
    idle = [axis for axis in range(factor.ndim) if axis not in order]
    sizes = [math.prod(factor.shape[axis] for axis in group) for group in groups]
    return factor.transpose(order + idle).reshape(sizes)


def _regridded(product: Array, left: Array, right: Array, axes: list[int]) -> Array:
    """Put the axes of a stack of matrices back where the grid has them."""
    size = {axis: max(left.shape[axis], right.shape[axis]) for axis in axes}
    ordered = product.reshape([size[axis] for axis in axes]).transpose(np.argsort(axes))
    return ordered.reshape([size.get(axis, 1) for axis in range(left.ndim)])

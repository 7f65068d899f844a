"""Indices and their extents: `n` runs over 0 … N-1.

An index is a sympy symbol, so that `2*h + u - 1` is an index expression without further ado. Its
extent is a symbol too: derivations hold `1/N`, never a number, and cost the same for any size.
"""

from __future__ import annotations

import sympy


class Extent(sympy.Symbol):
    """How many values an index takes: `D` = 64, or free until run time (`value` is None)."""

    value: int | None

    def __new__(cls, name: str, value: int | None) -> Extent:
        """Return the extent `name`; two are equal when name and value are."""
        extent: Extent = sympy.Symbol.__xnew__(cls, name, integer=True, positive=True)
        extent.value = value
        return extent

    def _hashable_content(self) -> tuple[object, ...]:
        return (self.name, self.value)

    def count(self, batch: int) -> int:
        """Return how many values there are, with so many examples in a batch."""
        return self.value or batch


# What formulas divide by where N counts the rows that one of several threads has of a batch.
BATCH = Extent("BATCH", None)


class Index(sympy.Symbol):
    """A name that runs over 0 … extent-1: `n`, `d`, `h`."""

    extent: Extent

    def __new__(cls, name: str, extent: Extent) -> Index:
        """Return the index `name` over `extent`; two are equal when both are."""
        index: Index = sympy.Symbol.__xnew__(cls, name, integer=True, nonnegative=True)
        index.extent = extent
        return index

    def _hashable_content(self) -> tuple[object, ...]:
        return (self.name, self.extent.name, self.extent.value)

    def primed(self) -> Index:
        """Return another index over the same extent: `n′`."""
        return Index(f"{self.name}′", self.extent)


class Scalar(sympy.Symbol):
    """A number that Python computes once a step: the learning rate, a correction."""

    def __new__(cls, name: str) -> Scalar:
        """Return the number called `name`."""
        number: Scalar = sympy.Symbol.__xnew__(cls, name, real=True)
        return number


def index(name: str, value: int | None) -> Index:
    """Return the index `name` with `value` values; its extent is the capital letter: `d`, `D`."""
    return Index(name, Extent(name[:1].upper() + name[1:], value))


def size(indices: tuple[Index, ...]) -> sympy.Expr:
    """Return how many entries a tensor over `indices` has, as a product of extents."""
    return sympy.Mul(*(i.extent for i in indices))

"""The same equations at other extents: names, formulas and order stay, sizes change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from sympy import Basic

from bpgen.ir.index import Extent, Index
from bpgen.ir.source import SourceLine
from bpgen.ir.tensor import Tensor
from bpgen.verify.relations import Sizes, bound


def resized(value: Any, sizes: Sizes) -> Any:
    """Return a network or a derivation with `sizes` for its extents and the bounds of integers."""
    return _Resized(sizes).of(value)


@dataclass(frozen=True, slots=True)
class _Resized:
    """A walk through frozen values; what was met before is not built twice."""

    sizes: Sizes
    met: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def of(self, value: Any) -> Any:
        """Return `value` at the new sizes."""
        if id(value) not in self.met:
            self.met[id(value)] = value, self._built(value)
        return self.met[id(value)][1]

    def _built(self, value: Any) -> Any:
        match value:
            case Basic():
                return value.xreplace(self._symbols(value))
            case None | bool() | int() | float() | str() | Enum() | SourceLine():
                return value
            case tuple():
                return tuple(map(self.of, value))
            case Mapping():
                return {key: self.of(v) for key, v in value.items()}
            case Tensor():
                below = self.sizes.get(bound(value), value.below)
                small = replace(self._fields(value), below=below)
                return replace(small, values=_first(value, small)) if value.values else small
            case _ if is_dataclass(value):
                return self._fields(value)
            case _:
                raise AssertionError(f"{type(value).__name__} in a derivation has no sizes")

    def _fields(self, value: Any) -> Any:
        return replace(value, **{f.name: self.of(getattr(value, f.name)) for f in fields(value)})

    def _symbols(self, formula: Basic) -> dict[Basic, Basic]:
        found = formula.atoms(Index, Extent)
        return {symbol: self._symbol(symbol) for symbol in found}

    def _symbol(self, symbol: Basic) -> Basic:
        if isinstance(symbol, Index):
            return Index(symbol.name, self._extent(symbol.extent))
        assert isinstance(symbol, Extent)
        return self._extent(symbol)

    def _extent(self, extent: Extent) -> Extent:
        return Extent(extent.name, self.sizes.get(extent, extent.value))


def _first(table: Tensor, small: Tensor) -> tuple[float, ...]:
    """Return the numbers of `table` that `small` has room for: the first along every axis."""
    shape = [i.extent.value or 0 for i in table.indices]
    corner = tuple(slice(size) for size in small.shape)
    return tuple(np.array(table.values).reshape(shape)[corner].ravel().tolist())

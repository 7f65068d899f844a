"""Tiles: what a product reads at affine places, such as windows, copied so that it is a matrix.

The library multiplies matrices that lie in memory as they are. A convolution is such a product of
the kernels' values and of its windows, a row for each entry of one and a column for each position.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sympy import Expr

from bpgen.ir.affine import affine
from bpgen.ir.expr import Access
from bpgen.ir.index import Index
from bpgen.ir.tensor import Role, Tensor
from bpgen.targets.cupy.kernel import count
from bpgen.targets.cupy.memory import NUMBERS, Memory

Axes = tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """A matrix, or a stack of them, and what it is copied from; `place` is which memory it has."""

    tensor: Tensor
    read: Access
    place: int

    def within(self, memory: Memory) -> Memory:
        """Return a memory that holds the tile, too."""
        name, size = self.tensor.name, count(self.tensor.indices)
        return replace(
            memory,
            tensors={**memory.tensors, name: self.tensor},
            names={**memory.names, name: f"{memory.tiles}[{self.place}][: {size}]"},
            narrow=memory.narrow | ({name} if memory.factor == "narrow" else set()),
        )


def tile_of(read: Expr, groups: tuple[Axes, ...], place: int, memory: Memory) -> Tile | None:
    """Return a tile with an axis for each index in `groups`; None for what is no affine read.

    Of the last two groups that comes last along which the tensor lies in memory, as far as it does:
    neighbouring threads then read neighbours.
    """
    if not isinstance(read, Access) or not read.indices or memory.kind(read.name) not in NUMBERS:
        return None
    places = [affine(at) for at in read.indices]
    if None in places:
        return None
    last = places[-1]
    along = (
        max(last.coefficients, key=lambda i: i.extent.value or 0, default=None) if last else None
    )
    *lead, one, other = groups
    ordered = (*lead, other, one) if along in one else groups
    name = f"{read.name}_tile"
    while name in memory.tensors:
        name += "_"
    indices = tuple(i for group in ordered for i in group)
    return Tile(Tensor(name, indices, Role.ACTIVATION), read, place)


def made_of(tiles: Iterable[Tile], dtype: str) -> str:
    """Return the line that makes memory for tiles: for each place as much as the largest needs."""
    sizes: dict[int, dict[str, int]] = {}
    for tile in tiles:
        extents = [i.extent for i in tile.tensor.indices]
        free = " * ".join(e.name for e in extents if e.value is None)
        known = math.prod(e.value for e in extents if e.value is not None)
        found = sizes.setdefault(tile.place, {})
        found[free] = max(known, found.get(free, 0))
    texts = [
        [f"{free} * {known}" if free else str(known) for free, known in found.items()]
        for _, found in sorted(sizes.items())
    ]
    most = [f"max({', '.join(text)})" if len(text) > 1 else text[0] for text in texts]
    return f"[{', '.join(f'cp.empty({size}, {dtype})' for size in most)}]"

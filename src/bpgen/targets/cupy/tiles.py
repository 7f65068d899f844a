"""Tiles: what a product reads at affine places, such as windows, copied so that it is a matrix.

The library multiplies matrices that lie in memory as they are. A convolution is such a product of
the kernels' values and of its windows, a row for each entry of one and a column for each position.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sympy import Expr

from bpgen.ir.affine import affine
from bpgen.ir.expr import Access
from bpgen.ir.index import Index
from bpgen.ir.tensor import Role, Tensor
from bpgen.targets.cupy.memory import NUMBERS, Memory
from bpgen.targets.cupy.names import identifier

Axes = tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """A matrix, or a stack of them, and what it is copied from."""

    tensor: Tensor
    read: Access

    def within(self, memory: Memory) -> Memory:
        """Return a memory that holds the tile, too."""
        name = self.tensor.name
        return replace(
            memory,
            tensors={**memory.tensors, name: self.tensor},
            names={**memory.names, name: f"{memory.tiles}.{name}"},
            narrow=memory.narrow | ({name} if memory.factor == "narrow" else set()),
        )


def tile_of(read: Expr, groups: tuple[Axes, ...], memory: Memory) -> Tile | None:
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
    indices = tuple(i for group in ordered for i in group)
    name = identifier(f"{read.name}_{''.join(i.extent.name for i in indices).lower()}")
    while name in memory.tensors:
        name += "_"
    return Tile(Tensor(name, indices, Role.ACTIVATION), read)

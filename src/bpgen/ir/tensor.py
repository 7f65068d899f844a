"""A tensor: a name, its indices, and the part it plays."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

import sympy

from bpgen.ir.expr import Access, access
from bpgen.ir.index import Index
from bpgen.ir.source import SourceLine

_T = TypeVar("_T")


class Role(Enum):
    """The part a tensor plays."""

    INPUT = "input"  # given at run time; real
    LABEL = "label"  # given at run time; integers below `below`
    PARAMETER = "parameter"  # trained
    FROZEN = "frozen parameter"  # starts as a parameter does, and is not trained
    TABLE = "table"  # numbers that the declaration gives
    NOISE = "noise"  # drawn at run time from a counter-based generator
    ACTIVATION = "activation"  # defined by an equation
    CONSTANT = "constant"  # defined by an equation; no cotangent flows through it
    ADDRESS = "address"  # defined by an equation; integers: where a maximum stands
    COTANGENT = "cotangent"  # ∂L/∂x
    DIRECTION = "direction"  # given with a parameter: how it moves, θ + ε v
    TANGENT = "tangent"  # ∂x/∂ε, the derivative along the direction
    STATE = "state"  # kept from one step to the next; no cotangent flows through it
    SCALAR = "scalar"  # of the optimizer: a Python number such as the learning rate
    LOSS = "loss"  # the one scalar that is differentiated


# What lies beside the parameters in memory, and has no gradient.
KEPT = frozenset({Role.FROZEN, Role.STATE})
GIVEN = KEPT | {
    Role.INPUT,
    Role.LABEL,
    Role.PARAMETER,
    Role.NOISE,
    Role.TABLE,
    Role.DIRECTION,
}
INTEGER = frozenset({Role.LABEL, Role.ADDRESS})


@dataclass(frozen=True, slots=True)
class Init:
    """How a parameter or a state starts: a law and its scale, a formula of extents.

    `law` is `constant` (all entries `scale`), `normal` (standard deviation `scale`), `uniform`
    (between ±`scale`) or `orthogonal` (orthonormal columns or rows, times `scale`). The first
    `stacked` axes count parameters that start each on its own.
    """

    law: str
    scale: sympy.Expr
    stacked: int = 0


@dataclass(frozen=True, slots=True)
class Noise:
    """How a noise tensor is drawn, anew in every step.

    `law` is `bernoulli` (1 with probability `rate`, else 0), `uniform` (in [0,1)) or `normal`.
    """

    law: str
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class Move:
    """An axis of a tensor that lies elsewhere in memory: which one, and its place there."""

    axis: int
    to: int

    def of(self, axes: Sequence[_T]) -> tuple[_T, ...]:
        """Return what belongs to the axes, in the order of memory."""
        rest = [a for k, a in enumerate(axes) if k != self.axis]
        place = self.to % len(axes)
        return (*rest[:place], axes[self.axis], *rest[place:])


@dataclass(frozen=True, slots=True)
class Tensor:
    """A name, its indices, and the part it plays; its entries are `Access` nodes.

    `values` are the entries of a table, the last index running fastest.
    """

    name: str
    indices: tuple[Index, ...]
    role: Role
    below: int | None = None
    init: Init | None = None
    noise: Noise | None = None
    values: tuple[float, ...] = ()
    of: str = ""
    where: SourceLine | None = None

    @property
    def canonical(self) -> Access:
        """Return the access with the tensor's own indices: `W[d,h]`."""
        return access(self.name, self.indices)

    def moved(self, move: Move) -> Tensor:
        """Return the tensor with one of its axes elsewhere."""
        return replace(self, indices=move.of(self.indices))

    @property
    def stream(self) -> int:
        """Return the number of its name, by which its noise is drawn beside seed and step."""
        return zlib.crc32(self.name.encode())

    @property
    def is_scalar(self) -> bool:
        """Whether the tensor has one entry and no index."""
        return not self.indices

    @property
    def is_integer(self) -> bool:
        """Whether the entries are integers, which have no derivative."""
        return self.role in INTEGER or self.below is not None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Return the extents, None where the extent is free."""
        return tuple(i.extent.value for i in self.indices)

    @property
    def entries(self) -> int:
        """Return how many entries there are, where no extent is free."""
        sizes = [size for size in self.shape if size is not None]
        assert len(sizes) == len(self.shape), f"{self.name} has a free extent"
        return math.prod(sizes)

"""Held tensors, through which no cotangent flows: whether that changes the gradient.

The maximum that a softmax subtracts is held, and it cancels: letting it move changes nothing. A
target that the user holds on purpose does not cancel: the gradient is that of the formula with the
target held.
"""

from __future__ import annotations

from dataclasses import dataclass

from bpgen.verify.complex_step import SIGNIFICANT, complex_slope
from bpgen.verify.line import Base, Direction


@dataclass(frozen=True, slots=True)
class Held:
    """One held tensor, and whether the loss would have another derivative if it moved."""

    tensor: str
    matters: bool


def held(at: Base, direction: Direction) -> tuple[Held, ...]:
    """Let the held tensors go, all at once, then one by one if that makes a difference."""
    names = [t.name for t in at.problem.held]
    still = complex_slope(at, direction)

    def matters(moving: list[str]) -> bool:
        moved = complex_slope(at, direction, moving)
        return abs(moved - still) > SIGNIFICANT * max(abs(moved), abs(still))

    any_matters = matters(names)
    return tuple(Held(n, any_matters and matters([n])) for n in names)

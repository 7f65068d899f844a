"""Which derivative a tensor is, as its name is read: ∂L/∂x, ∂x/∂ε, ∂²L/∂ε∂x."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bpgen.ir.tensor import Role, Tensor


@dataclass(frozen=True, slots=True)
class Derivative:
    """The derivative of `above`: `times` times by ε, then by the tensor `of` if there is one."""

    above: str
    times: int
    of: str = ""

    @property
    def order(self) -> int:
        """Return how often is differentiated."""
        return self.times + bool(self.of)


def tangents_of(tensors: Iterable[Tensor]) -> dict[str, str]:
    """Return the tensor that each tangent is of, by the names of the tangents."""
    return {t.name: t.of for t in tensors if t.role is Role.TANGENT}


def derivative_of(name: str, tangents: Mapping[str, str]) -> Derivative | None:
    """Return which derivative the tensor `name` is; None if it is none.

    `d_x` is the cotangent of x.
    """
    times = 0
    while name in tangents:
        name, times = tangents[name], times + 1
    if name.startswith("d_"):
        return Derivative("L", times, name.removeprefix("d_"))
    return Derivative(name, times) if times else None

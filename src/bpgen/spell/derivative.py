"""Which derivative a tensor is, as its name is read: ∂L/∂x, ∂x/∂ε, ∂²L/∂ε∂x."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bpgen.ir.tangent import SCALAR
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


def derivatives_of(tensors: Iterable[Tensor]) -> dict[str, Derivative]:
    """Return which derivative each tensor is whose name does not say it.

    That is every tangent, and the cotangents of another scalar than the loss, which is called σ.
    """
    found: dict[str, Derivative] = {}
    for tensor in tensors:
        if tensor.role is Role.TANGENT:
            inner = derivative_of(tensor.of, found) or Derivative(tensor.of, 0)
            found[tensor.name] = replace(inner, times=inner.times + 1)
        elif tensor.role is Role.COTANGENT and tensor.of and tensor.name != f"d_{tensor.of}":
            found[tensor.name] = Derivative(SCALAR, 0, tensor.of)
    return found


def derivative_of(name: str, known: Mapping[str, Derivative]) -> Derivative | None:
    """Return which derivative the tensor `name` is; `d_x` is ∂L/∂x. None if it is none."""
    if name.startswith("d_"):
        return Derivative("L", 0, name.removeprefix("d_"))
    return known.get(name)

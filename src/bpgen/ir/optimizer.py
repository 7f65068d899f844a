"""An optimizer: equations over the flat vector of all parameters, carried out one by one."""

from __future__ import annotations

from dataclasses import dataclass

from bpgen.ir.equation import Equation
from bpgen.ir.index import Extent, Index, Scalar
from bpgen.ir.tensor import Role, Tensor

ENTRY = Index("i", Extent("P", None))

THETA = Tensor("θ", (ENTRY,), Role.PARAMETER)
GRADIENT = Tensor("g", (ENTRY,), Role.COTANGENT)
STEP = Scalar("t")
RATE = Scalar("lr")


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An update rule: `equations` are carried out in order, each in place of what it assigns.

    `θ[i]` are the parameters and `g[i]` the gradient, seen as vectors; `t` counts the steps from 1
    and `lr` is the learning rate of the step. `states` start at 0 and are kept from one step to the
    next.
    """

    name: str
    states: tuple[Tensor, ...]
    equations: tuple[Equation, ...]

    @property
    def counts_steps(self) -> bool:
        """Whether some formula holds the number of the step."""
        return any(STEP in term.body.free_symbols for e in self.equations for term in e.terms)

"""A tangent: the derivative of every tensor of a network along a direction of some of them.

With θ + ε v in place of the parameters θ, each tensor x has a derivative ∂x/∂ε at ε = 0. If the
network holds cotangents, theirs are the second derivatives: ∂²L/∂ε∂W is the part of the Hessian
times v that belongs to W.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bpgen.ir.derivation import Derivation
from bpgen.ir.equation import Equation
from bpgen.ir.network import Network
from bpgen.ir.tensor import Tensor

# The scalar Σ w z, whose gradient with w held is Jᵀ w; no author can call a tensor so.
SCALAR = "σ"


@dataclass(frozen=True, slots=True)
class Tangent:
    """A network, the tangents of its tensors, and both as one list of equations.

    `along` holds the tangents that are given, by tensor: the direction. `tangents` holds the names
    of all, by tensor; what is not in it does not move.
    """

    source: Network
    network: Network
    along: Mapping[str, Tensor]
    tangents: Mapping[str, str]

    @property
    def equations(self) -> tuple[Equation, ...]:
        """Return the equations that are not the source's, in order."""
        own = {e.out.name for e in self.source.equations}
        return tuple(e for e in self.network.equations if e.out.name not in own)

    def part(self, tensor: str) -> Tensor:
        """Return the tensor that holds ∂tensor/∂ε."""
        return self.network.tensors[self.tangents[tensor]]


@dataclass(frozen=True, slots=True)
class Curvature:
    """A product of a matrix of second derivatives with a direction, as equations.

    `network` holds all equations; `directions` and `parts` name, by parameter, the tensors that are
    given as the direction, and those that hold the product. `at` are the tensors in which the loss
    is taken to be curved: none for the Hessian, the outputs for the matrix of Gauss and Newton.
    """

    derivation: Derivation
    network: Network
    directions: Mapping[str, str]
    parts: Mapping[str, str]
    at: tuple[str, ...] = ()

    @property
    def equations(self) -> tuple[Equation, ...]:
        """Return the equations that neither the network nor its gradient has, in order."""
        known = {e.out.name for e in self.derivation.network.equations}
        return tuple(e for e in self.network.equations if e.out.name not in known)

"""A derivation: every cotangent, and the steps of the chain rule that led to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sympy import Expr

from bpgen.errors import UnknownNameError, nearest
from bpgen.ir.equation import Equation, Term
from bpgen.ir.expr import Access
from bpgen.ir.network import Network
from bpgen.ir.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Step:
    """One application of the chain rule: through one access of one equation.

        ∂L/∂of[J] += Σ seed · local

    `rules` names what was done to the plain product, in order, each with the result: `sift`,
    `re-index`, `reuse`, `inline`, `pull out`, `merge`.
    """

    of: Tensor
    through: Equation
    read: Access
    seed: Expr
    local: Expr
    rules: tuple[tuple[str, Term], ...]

    @property
    def term(self) -> Term:
        """Return the contribution this step arrives at."""
        return self.rules[-1][1]


@dataclass(frozen=True, slots=True)
class Adjoint:
    """The complete cotangent of one tensor.

    `equation` defines it; `inlined` says that its only consumer holds the formula instead of a
    buffer. `helpers` are sums that the formula names, in order.
    """

    of: Tensor
    equation: Equation
    steps: tuple[Step, ...]
    helpers: tuple[Equation, ...] = ()
    inlined: bool = False


@dataclass(frozen=True, slots=True)
class Derivation:
    """A network, its cotangents as they become complete, and both as one list of equations.

    `network.equations` holds the forward equations, what the cotangents need besides (addresses of
    maxima), then the cotangents that have a buffer. It is a network again, so it can be derived
    again.
    """

    source: Network
    network: Network
    adjoints: Mapping[str, Adjoint]

    @property
    def backward(self) -> tuple[Equation, ...]:
        """Return the equations that are not the source's, in order."""
        forward = {e.out.name for e in self.source.equations}
        return tuple(e for e in self.network.equations if e.out.name not in forward)

    def gradient_of(self, name: str) -> str:
        """Return the name of the tensor that holds ∂L/∂name."""
        return self.adjoints[name].equation.out.name

    def adjoint_of(self, name: str) -> Adjoint:
        """Return the cotangent of a tensor that a user names.

        Errors: UnknownNameError if the tensor has none.
        """
        if name not in self.adjoints:
            raise UnknownNameError(
                f"there is no ∂L/∂{name}",
                rule="Parameters have a gradient, and what lies between them and the loss.",
                way_out=nearest(name, self.adjoints),
            )
        return self.adjoints[name]

"""A product with second derivatives as a gradient, so that all that proves gradients proves it.

For a fixed direction v, the Hessian times v is the gradient of v·∇L: a network whose loss is
v·∇L(θ), and whose derived gradient is the derived product. Its Taylor coefficient along w is v·Hw,
read in series of balls off the equations of ∇L; the derived side is w·Hv. That they agree proves
the product, and that the matrix is symmetric.
"""

from __future__ import annotations

from dataclasses import replace

from bpgen.ir.derivation import Adjoint, Derivation
from bpgen.ir.equation import Equation, Term
from bpgen.ir.network import Network
from bpgen.ir.tangent import Curvature
from bpgen.ir.tensor import Role, Tensor

SLOPE = "∂L/∂ε"


def as_gradient(curvature: Curvature) -> tuple[Network, Derivation]:
    """Return the network whose loss is v·∇L, and the product with the Hessian as its gradient."""
    inner, every = curvature.derivation, curvature.network
    gradients = {name: inner.gradient_of(name) for name in curvature.parts}
    tensors = inner.network.tensors
    terms = tuple(
        Term(
            every.tensors[curvature.directions[name]].canonical * tensors[gradient].canonical,
            tensors[gradient].indices,
        )
        for name, gradient in gradients.items()
    )
    slope = Equation(Tensor(SLOPE, (), Role.LOSS), terms)
    given = {v: every.tensors[v] for v in curvature.directions.values()}
    former = replace(inner.network.tensors[inner.source.loss], role=Role.ACTIVATION)
    own = {former.name: former, SLOPE: slope.out}

    def goes_on(network: Network) -> Network:
        equations = tuple(
            replace(e, out=former) if e.out.name == former.name else e for e in network.equations
        )
        tensors = {**network.tensors, **given, **own}
        return replace(
            network,
            tensors=tensors,
            equations=(*equations, slope),
            loss=SLOPE,
            outputs={},
            updates=(),
        )

    forward, closed = goes_on(inner.network), goes_on(every)
    equations = {e.out.name: e for e in closed.equations}
    adjoints = {
        name: Adjoint(tensors[name], equations[part], ()) for name, part in curvature.parts.items()
    }
    return forward, Derivation(forward, closed, adjoints)

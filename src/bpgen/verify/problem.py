"""What is proved: one scalar function of the parameters, and its derived gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from bpgen.ir.derivation import Derivation
from bpgen.ir.equation import Equation
from bpgen.ir.index import Extent
from bpgen.ir.network import Network
from bpgen.ir.tensor import Role, Tensor
from bpgen.verify.interpret import Values, evaluate, needed, operations
from bpgen.verify.numbers import Array, Numbers
from bpgen.verify.switch import Switch

# Entries of formulas that one evaluation of the loss may read: in balls, beyond which a check takes
# more than some seconds; and in floats, half a minute and a few GB at most.
BUDGET = 200_000
LARGEST = 500_000_000


@dataclass(frozen=True, slots=True)
class Problem:
    """A network and its derivation at given extents; `forward` is what the loss needs.

    What is proved is `network`; what the derivation repeats of it only serves the cotangents.
    """

    network: Network
    derivation: Derivation
    extents: Mapping[Extent, int]
    forward: tuple[Equation, ...]

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """Return the tensors whose gradients are proved."""
        return self.network.parameters

    @property
    def held(self) -> tuple[Tensor, ...]:
        """Return the tensors through which no cotangent flows."""
        return tuple(e.out for e in self.forward if e.out.role is Role.CONSTANT)

    @property
    def cost(self) -> int:
        """Return how many entries one evaluation of the loss reads."""
        return operations(self.forward, self.extents)

    def shape(self, tensor: Tensor) -> tuple[int, ...]:
        """Return the shape of `tensor`."""
        return tuple(self.extents[i.extent] for i in tensor.indices)

    def loss(
        self,
        values: Values,
        numbers: Numbers,
        watch: Callable[[Switch], None] = lambda switch: None,
    ) -> Any:
        """Return the loss; what `values` holds besides what is given is frozen."""
        known = evaluate(self.forward, values, self.extents, numbers, watch)
        return known[self.network.loss][()]

    def everything(self, values: Values, numbers: Numbers) -> dict[str, Array]:
        """Return every tensor, forward and backward."""
        return evaluate(self.derivation.network.equations, values, self.extents, numbers)

    def gradient(self, known: Values) -> dict[str, Array]:
        """Return the cotangents of the parameters, by parameter, from all tensors."""
        return {p.name: known[self.derivation.gradient_of(p.name)] for p in self.parameters}

    def number(self, formula: sympy.Expr) -> float:
        """Return the value of a formula of extents."""
        known = {e.name: size for e, size in self.extents.items()}
        own = {e: getattr(e, "value", None) or known[str(e)] for e in formula.free_symbols}
        return float(formula.xreplace(own))


def problem(network: Network, derivation: Derivation, *, least: int = 3) -> Problem:
    """Return the problem at the declared extents.

    Free ones are primes that no other extent has, from `least` on.
    """
    extents = derivation.network.extents()
    taken = {e.value for e in extents}
    primes = (p for p in sympy.primerange(least, 10_000) if p not in taken)
    sizes = {e: e.value or int(next(primes)) for e in extents}
    return Problem(network, derivation, sizes, needed(network.equations, [network.loss]))


def lifted(values: Values, numbers: Numbers) -> dict[str, Array]:
    """Return `values` as numbers; integers, which are labels and addresses, stay integers."""
    with numbers.working():
        return {
            name: v if np.issubdtype(v.dtype, np.integer) else numbers.array(v)
            for name, v in values.items()
        }

"""A network: tensors, equations in order, one loss; and what must be true of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bpgen.ir.equation import Equation
from bpgen.ir.index import Extent
from bpgen.ir.order import flat, ordered
from bpgen.ir.tensor import GIVEN, KEPT, Role, Tensor


@dataclass(frozen=True, slots=True)
class Network:
    """What is computed: every tensor by name, and the equations in the order they can be evaluated.

    Equations that read each other at a shifted index stand together (see `ir.order`).
    `outputs` maps the names the author gave to tensors' names. `doc` is the model file's docstring.
    `updates` give every state its next value, once a step and in this order, from the values of
    that step; what they alone need of other tensors stands among them.
    """

    name: str
    tensors: Mapping[str, Tensor]
    equations: tuple[Equation, ...]
    loss: str
    outputs: Mapping[str, str] = field(default_factory=dict)
    doc: str = ""
    updates: tuple[Equation, ...] = ()

    def of_role(self, *roles: Role) -> tuple[Tensor, ...]:
        """Return the tensors that play one of `roles`, in declared order."""
        return tuple(t for t in self.tensors.values() if t.role in roles)

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        """Return the parameters, in declared order."""
        return self.of_role(Role.PARAMETER)

    @property
    def kept(self) -> tuple[Tensor, ...]:
        """Return what lies beside the parameters and has no gradient, in declared order."""
        return self.of_role(*KEPT)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Return what is given for each batch: inputs and labels, in declared order."""
        return self.of_role(Role.INPUT, Role.LABEL)

    @property
    def all_equations(self) -> tuple[Equation, ...]:
        """Return the equations, and the updates of states after them."""
        return self.equations + self.updates

    def extents(self) -> tuple[Extent, ...]:
        """Return the extents of all indices, each once, in declared order."""
        indices = [i for t in self.tensors.values() for i in t.indices]
        indices += [i for e in self.all_equations for term in e.terms for i in term.over]
        return tuple(dict.fromkeys(i.extent for i in indices))

    def equation_of(self, name: str) -> Equation | None:
        """Return the equation that defines the tensor `name`, or None if it is given."""
        return next((e for e in self.equations if e.out.name == name), None)

    def check(self) -> None:
        """Assert what every stage may rely on; only a bug in bpgen can break it."""
        known = {t.name for t in self.tensors.values() if t.role in GIVEN}
        for group in ordered(self.equations):
            inside = {e.out.name for e in flat((group,))}
            for equation in flat((group,)):
                self._check_equation(equation, known | inside)
            assert not inside & known, f"{inside & known} are defined twice"
            known |= inside
        assert len({e.out.name for e in self.equations}) == len(self.equations), "defined twice"
        for equation in self.updates:
            self._check_equation(equation, known)
            is_state = equation.out.role is Role.STATE
            assert (equation.out.name in known) == is_state, f"{equation.out.name} is defined twice"
            known.add(equation.out.name)
        assert self.loss in known, "the loss is not defined"
        assert self.tensors[self.loss].is_scalar, "the loss is not a scalar"

    def _check_equation(self, equation: Equation, known: set[str]) -> None:
        name = equation.out.name
        assert self.tensors[name] == equation.out, f"{name} differs from its declaration"
        assert not equation.unbound(), f"{name} leaves {equation.unbound()} unbound"
        for read in equation.accesses():
            assert read.name in known, f"{name} reads {read.name} before it is defined"
            rank = len(self.tensors[read.name].indices)
            assert len(read.indices) == rank, f"{read} has {len(read.indices)} of {rank} indices"

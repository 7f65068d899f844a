"""What cotangents name besides themselves: sums, borders, and the indices these need."""

from __future__ import annotations

from collections.abc import Iterable

from bpgen.derive.monomial import powers
from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Access, accesses, indices_of
from bpgen.ir.index import Index
from bpgen.ir.index import index as make_index
from bpgen.ir.network import Network
from bpgen.ir.tensor import Role, Tensor

_LETTERS = "abkrjuvqesgmpwxyzcdfht"


class Helpers:
    """The equations that cotangents name, each once: `p_dot_d_p[n] = Σ_k p[n,k] ∂L/∂p[n,k]`."""

    def __init__(self, network: Network) -> None:
        """Start with no equation; the names of `network` are not free."""
        self._taken = set(network.tensors)
        self._extents = {e.name: e.value for e in network.extents()}
        self._roles = {t.name: t.role for t in network.tensors.values()}
        self._roles |= {f"{name}_at": Role.ADDRESS for name in maxima(network)}
        kinds = ("d_{}", "{}_at", "{}")  # what a network holds has its name to itself
        self._axes = {k.format(t.name): t.indices for k in kinds for t in network.tensors.values()}
        self._by_term: dict[tuple[Term, tuple[Index, ...]], Equation] = {}
        self._by_name: dict[str, Equation] = {}

    def named(self, term: Term, of: Tensor) -> Equation:
        """Return the equation that names the sum `term`, a part of the cotangent of `of`."""
        axes = tuple(i for i in of.indices if i in indices_of(term.body))
        return self.define(_stem(term, of), axes, term)

    def define(self, stem: str, axes: tuple[Index, ...], term: Term) -> Equation:
        """Return the equation `stem[axes] = term`; an equal one keeps the name it has."""
        key = (term, axes)
        if key not in self._by_term:
            roles = {self.role(a.name) for a in accesses(term.body)}
            role = Role.ADDRESS if roles == {Role.ADDRESS} else Role.COTANGENT
            tensor = Tensor(self._name(stem), axes, role)
            self._by_term[key] = self._by_name[tensor.name] = Equation(tensor, (term,))
        return self._by_term[key]

    def role(self, name: str) -> Role:
        """Return the part that a tensor plays: one of the network, or named for its cotangents."""
        known = self._by_name.get(name)
        return known.out.role if known else self._roles.get(name, Role.COTANGENT)

    def is_whole(self, read: Access) -> bool:
        """Whether an entry is read at all places of each axis, by an index that visits them all."""
        known = self._by_name.get(read.name)
        axes = known.out.indices if known else self._axes[read.name]
        pairs = zip(read.indices, axes, strict=True)
        return all(i.extent.value == a.extent.value for i, a in pairs if isinstance(i, Index))

    def index(self, value: int, *avoid: Iterable[Index]) -> Index:
        """Return an index of `value` values, by a letter that none of `avoid` has."""
        letters = {i.name for group in avoid for i in group}
        for letter in (*_LETTERS, *(f"{c}{k}" for k in range(2, 1000) for c in _LETTERS)):
            index = make_index(letter, value)
            extent = index.extent.name
            fits = self._extents.get(extent, value) == value and extent not in self._taken
            if fits and letter not in letters:
                self._extents[extent] = value
                return index
        raise AssertionError("a thousand extents share one letter")

    def read_by(self, equation: Equation) -> tuple[Equation, ...]:
        """Return the named equations that `equation` is computed from, in order."""
        found: dict[str, Equation] = {}
        for name in equation.reads():
            if name in self._by_name:
                own = self._by_name[name]
                found |= {e.out.name: e for e in (*self.read_by(own), own)}
        return tuple(found.values())

    def _name(self, stem: str) -> str:
        name, k = stem, 1
        while name in self._taken:
            name, k = f"{stem}{k + 1}", k + 1
        self._taken.add(name)
        return name


def maxima(network: Network) -> tuple[str, ...]:
    """Return the names of the tensors that are maxima, whose addresses cotangents read."""
    return tuple(e.out.name for e in network.equations if e.op is Op.MAX)


def _stem(term: Term, of: Tensor) -> str:
    """Return the name of a sum: after its factors, if they are one or two entries."""
    _, found = powers(term.body)
    entries = [b.name for b, e in found.items() if isinstance(b, Access) and e == 1]
    entries.sort(key=lambda name: (name.startswith("d_"), name))
    if len(entries) == len(found) == 2:
        return "_dot_".join(entries)
    if len(entries) == len(found) == 1:
        return f"sum_{entries[0]}"
    return f"sum_for_d_{of.name}"

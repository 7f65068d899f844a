"""Say whether parts of a batch can be computed apart, and how their losses are added.

The examples of a batch are independent if an entry of example n reads other entries of example n
alone, neither its number nor how many there are, and if sums over n lead to the loss in a straight
line. Then L(batch) = Σ_parts (rows of part / rows of batch)^power L(part): a mean has power 1, a
sum power 0. Derivatives are linear, so gradients are added in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy
from sympy import Expr

from bpgen.ir.equation import Equation, Op, Term, needed
from bpgen.ir.expr import Access, accesses
from bpgen.ir.index import Extent, Index
from bpgen.ir.network import Network


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts are added, each times (its rows / all rows)^power."""

    power: int


@dataclass(frozen=True, slots=True)
class Coupling:
    """The equation by which examples depend on each other, and in what way."""

    equation: Equation
    reason: str


class _CoupledError(Exception):
    """An equation couples examples."""


def shares_of(network: Network) -> Shares | Coupling:
    """Return how the loss of a batch is made of those of its parts, or what stands against it."""
    batch = _Batch(network, {})
    equations = needed(network.equations, {network.loss})
    while True:
        known = dict(batch.powers)
        for equation in equations:
            try:
                batch.note(equation)
            except _CoupledError as error:
                return Coupling(equation, str(error))
        if batch.powers == known:  # in a loop an equation may stand before what it reads
            break
    for equation in network.updates:
        return Coupling(equation, "it changes once a step what every example reads")
    return Shares(batch.powers.get(network.loss, 1))


@dataclass(slots=True)
class _Batch:
    """What is known of each tensor without a batch axis that depends on the batch: its power."""

    network: Network
    powers: dict[str, int]

    def note(self, equation: Equation) -> None:
        """Take note of the power of an equation's result.

        Errors: _CoupledError if the equation couples examples.
        """
        rows = _rows(equation.out.indices)
        if rows:
            self._check_rows(equation, rows)
            return
        found = {power for term in equation.terms for power in self._powers_of(equation.op, term)}
        shares = {power for power in found if power is not None}
        if not shares:
            return
        # What every part has whole is added up to itself only if the weights of parts sum to 1.
        if len(shares) > 1 or (None in found and shares != {1}):
            raise _CoupledError("it adds what grows with the batch to what does not")
        (power,) = shares
        if self.powers.setdefault(equation.out.name, power) != power:
            raise _CoupledError("what it adds up grows with the batch in different ways")

    def _check_rows(self, equation: Equation, rows: tuple[Index, ...]) -> None:
        if len(rows) > 1:
            raise _CoupledError("it pairs one example with another")
        for term in equation.terms:
            if _rows(term.over):
                raise _CoupledError("it sums over the batch for each example")
            self._check_row(term.body, rows[0])

    def _check_row(self, body: Expr, n: Index) -> None:
        """Assert that `body` reads of the batch what belongs to example n, and no more."""
        for read in accesses(body):
            if read.name in self.powers:
                raise _CoupledError(f"each example reads {read.name}, a sum over the batch")
        if self._is_loose(body, n):
            raise _CoupledError("an example reads another one, or its own number")
        if body.has(n.extent):
            raise _CoupledError("an example reads how many there are")

    def _is_loose(self, expr: sympy.Basic, n: Index) -> bool:
        """Whether an index of the batch stands elsewhere than as n on the axis of the batch."""
        if isinstance(expr, Index):
            return expr.extent == n.extent
        if isinstance(expr, Access):
            axes = self.network.tensors[expr.name].indices
            pairs = zip(expr.indices, axes, strict=True)
            return any(at != n if _rows((axis,)) else self._is_loose(at, n) for at, axis in pairs)
        return any(self._is_loose(arg, n) for arg in expr.args)

    def _powers_of(self, op: Op, term: Term) -> Iterator[int | None]:
        """Yield the power of each addend of a term whose result has no batch axis."""
        rows = _rows(term.over)
        if len(rows) > 1:
            raise _CoupledError("it pairs one example with another")
        for addend in sympy.Add.make_args(term.body):
            if rows:
                rest, power = _without(addend, rows[0].extent)
                self._check_row(rest, rows[0])
                yield power
            else:
                yield self._power_of_number(addend)
        if op is not Op.SUM and (rows or any(a.name in self.powers for a in accesses(term.body))):
            raise _CoupledError("it looks for the largest in the batch")

    def _power_of_number(self, addend: Expr) -> int | None:
        """Return the power of a product of at most one sum over the batch with other factors."""
        if any(_rows(self.network.tensors[a.name].indices) for a in accesses(addend)):
            raise _CoupledError("it reads one example of the batch")
        totals = [a for a in accesses(addend) if a.name in self.powers]
        extents = {e for e in addend.free_symbols if isinstance(e, Extent) and e.value is None}
        if not totals:
            if extents:
                raise _CoupledError("it reads how many examples there are")
            return None
        rest, power = addend, 0
        for extent in extents:
            rest, power = _without(addend, extent)
        if len(totals) > 1 or (rest / totals[0]).has(totals[0]):
            raise _CoupledError(f"it is not proportional to {totals[0].name}, a sum over the batch")
        return self.powers[totals[0].name] + power


def _without(addend: Expr, extent: Extent) -> tuple[Expr, int]:
    """Return f and k of `f / extent^k`; what is not of that form is f alone."""
    rest, factor = addend.as_independent(extent, as_Add=False)
    base, exponent = factor.as_base_exp()
    if base == extent and exponent.is_Integer:
        return rest, -int(exponent)
    return addend, 0


def _rows(indices: tuple[Index, ...]) -> tuple[Index, ...]:
    """Return the indices that count examples: their extent is free until run time."""
    return tuple(i for i in indices if i.extent.value is None)

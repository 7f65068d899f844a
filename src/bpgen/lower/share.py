"""Say what a batch that threads share costs in meetings, or why its examples cannot be parted.

Every part runs the same steps on rows of its own; N in a formula counts the rows of the whole
batch. So what a part sums over its rows is its *share*: shares add up to the sum over the batch.
What is proportional to a share is one, too, as the loss and the gradients mostly are, which are
added at the end. Where anything else reads a share, the parts *meet* first: they add what they
have, and each goes on with the whole sum.

What stands beside a share and is no share itself, such as a penalty on parameters, every part
computes in full; it counts there by (rows of the part) / N.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import sympy
from sympy import Expr

from bpgen.ir.equation import Equation, Op
from bpgen.ir.expr import Access, Pad, accesses
from bpgen.ir.index import Index
from bpgen.ir.program import Part, Program, RowBlocks, Step, Turns, steps_of
from bpgen.ir.tensor import KEPT, Tensor
from bpgen.lower.lives import is_view

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts meet at the tensors `met`, and each has a share of those in `summed`.

    Of the results, the loss and the gradients, every part has those in `whole` in full at the end.
    """

    summed: frozenset[str]
    met: frozenset[str]
    whole: frozenset[str]

    @property
    def open(self) -> frozenset[str]:
        """Return the tensors of which no part ever has more than its share."""
        return self.summed - self.met


@dataclass(frozen=True, slots=True)
class Coupling:
    """The equation by which examples depend on each other, and in what way."""

    equation: Equation
    reason: str


class _CoupledError(Exception):
    """An equation couples examples."""


def shares_of(program: Program) -> Shares | Coupling:
    """Return how parts of a batch are trained on together, or what stands against it."""
    parts = (*program.forward, *program.loss, *program.advance, *program.backward)
    steps = [replace(s, equation=e) for s in steps_of(parts) for e in s.equations]
    tensors = {**program.derivation.network.tensors, **program.made}
    for step in steps:
        try:
            _check(step.equation, tensors)
        except _CoupledError as error:
            return Coupling(step.equation, str(error))
    met = frozenset[str]()
    while True:
        summed = _summed(steps, met)
        wanted = frozenset(name for s in steps for name in _read_whole(s, summed - met))
        if not wanted:
            break
        met |= wanted
    for step in _over_turns(parts):
        if step.equation.out.name in met & summed:
            return Coupling(step.equation, "it sums over the batch and over turns, one by one")
    gradients = (program.derivation.gradient_of(t.name) for t in program.network.parameters)
    results = frozenset({program.network.loss, *gradients})
    return Shares(summed, met & summed, results - (summed - met))


def weighed(expr: Expr, shares: frozenset[str], weight: Expr) -> Expr:
    """Return what a part computes of `expr`: terms that read none of `shares` times `weight`."""
    if not reads(expr, shares):
        return expr * weight
    match expr:
        case sympy.Add():
            return sympy.Add(*(weighed(a, shares, weight) for a in expr.args))
        case sympy.Mul():
            factors = (weighed(f, shares, weight) if reads(f, shares) else f for f in expr.args)
            return sympy.Mul(*factors)
        case _:
            return expr


def reads(expr: Expr, names: frozenset[str]) -> bool:
    """Whether `expr` reads one of the tensors `names`."""
    return any(a.name in names for a in accesses(expr))


def rows_of(indices: Iterable[Index]) -> tuple[Index, ...]:
    """Return the indices that count examples: their extent is free until run time."""
    return tuple(i for i in indices if i.extent.value is None)


def _summed(steps: Iterable[Step], met: frozenset[str]) -> frozenset[str]:
    """Return the tensors of which a part computes a share, if the parts meet at `met`."""
    equations = [s.equation for s in steps if not rows_of(s.equation.out.indices)]
    found = frozenset[str]()
    while True:  # in a loop an equation may stand before what it reads
        more = frozenset(
            e.out.name
            for e in equations
            if any(rows_of(term.over) or reads(term.body, found - met) for term in e.terms)
        )
        if more == found:
            return found
        found = more


def _read_whole(step: Step, shares: frozenset[str]) -> Iterator[str]:
    """Yield those of `shares` that a step reads otherwise than in proportion, or for a state."""
    out, op = step.equation.out, step.equation.op
    is_whole = rows_of(out.indices) or is_view(step) or op is not Op.SUM or out.role in KEPT
    for term in step.equation.terms:
        if is_whole or rows_of(term.over) or not _is_linear(term.body, shares):
            yield from (a.name for a in accesses(term.body) if a.name in shares)


def _is_linear(expr: Expr, shares: frozenset[str]) -> bool:
    """Whether `expr` is a sum of multiples of shares, and of what reads none."""
    if not reads(expr, shares):
        return True
    match expr:
        case sympy.Add():
            return all(_is_linear(a, shares) for a in expr.args)
        case sympy.Mul():
            of_shares = [f for f in expr.args if reads(f, shares)]
            return len(of_shares) == 1 and _is_linear(of_shares[0], shares)
        case Pad(value=value):
            return bool(value == 0)
        case _:
            return isinstance(expr, Access)


def _over_turns(parts: Iterable[Part], around: frozenset[Index] = frozenset()) -> Iterator[Step]:
    """Yield the steps that add, in each turn of a loop, to the same entries."""
    for part in parts:
        if isinstance(part, Turns):
            yield from _over_turns(part.parts, around | {part.index})
        elif isinstance(part, RowBlocks):
            yield from _over_turns(part.parts, around)
        elif isinstance(part, Step) and part.adds and not around <= {*part.equation.out.indices}:
            yield part


# ---- what cannot be parted ---------------------------------------------------------------------


def _check(equation: Equation, tensors: Tensors) -> None:
    """Assert that an equation can be computed for some rows alone.

    Errors: _CoupledError if it cannot.
    """
    rows = rows_of(equation.out.indices)
    for term in equation.terms:
        over = rows_of(term.over)
        if rows and over:
            raise _CoupledError("it sums over the batch for each example")
        if len(rows + over) > 1:
            raise _CoupledError("it pairs one example with another")
        if over and equation.op is not Op.SUM:
            raise _CoupledError("it looks for the largest in the batch")
        if any(_is_loose(term.body, n, tensors) for n in rows + over):
            raise _CoupledError("an example reads another one, or its own number")
        if not rows + over and any(rows_of(tensors[a.name].indices) for a in accesses(term.body)):
            raise _CoupledError("it reads one example of the batch")


def _is_loose(expr: sympy.Basic, n: Index, tensors: Tensors) -> bool:
    """Whether an index of the batch stands elsewhere than as n on the axis of the batch."""
    if isinstance(expr, Index):
        return expr.extent == n.extent
    if isinstance(expr, Access):
        pairs = zip(expr.indices, tensors[expr.name].indices, strict=True)
        return any(at != n if rows_of((i,)) else _is_loose(at, n, tensors) for at, i in pairs)
    return any(_is_loose(arg, n, tensors) for arg in expr.args)

"""A derivation as a numbered list: what is given, the forward equations, and every cotangent with its steps.

The list is linear in the number of equations, and says of each cotangent which equations it came
through. How it looks is the business of `emit.document`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sympy import Expr

from bpgen.ir.derivation import Adjoint, Derivation, Step
from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Line:
    """One rewriting of a contribution: the rule, and what it leads to."""

    rule: str
    of: Tensor
    seed: Expr | None
    local: Expr | None
    term: Term


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one equation adds to a cotangent: `through` is that equation's number."""

    through: int
    read: Expr
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A numbered equation; cotangents come with their contributions, and may be written into one reader."""

    number: int
    equation: Equation
    contributions: tuple[Contribution, ...] = ()
    inlined: bool = False
    helper: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The whole list."""

    derivation: Derivation
    forward: tuple[Entry, ...]
    backward: tuple[Entry, ...]


def report(derivation: Derivation, wrt: str | None = None) -> Report:
    """Return the numbered derivation, or the part of it that leads to ∂L/∂wrt. Numbers are those of the whole."""
    closed, source = derivation.network, derivation.source
    extra = [e for e in closed.equations if e.op is Op.ARGMAX]
    forward = [Entry(k, e) for k, e in enumerate([*source.equations, *extra], 1)]
    numbers = {e.equation.out.name: e.number for e in forward}
    backward: list[Entry] = []
    seen: set[str] = set()
    for adjoint in derivation.adjoints.values():
        for helper in adjoint.helpers:
            if helper.out.name not in seen:
                seen.add(helper.out.name)
                backward.append(Entry(len(forward) + len(backward) + 1, helper, helper=True))
        number = len(forward) + len(backward) + 1
        backward.append(_entry(number, adjoint, numbers))
    kept = backward if wrt is None else _leading_to(wrt, backward, derivation)
    return Report(derivation, tuple(forward), tuple(kept))


def _entry(number: int, adjoint: Adjoint, numbers: Mapping[str, int]) -> Entry:
    found = tuple(_contribution(s, numbers) for s in adjoint.steps)
    return Entry(number, adjoint.equation, found, adjoint.inlined)


def _contribution(step: Step, numbers: Mapping[str, int]) -> Contribution:
    chain = Line("chain rule", step.of, step.seed, step.local, step.rules[0][2])
    lines = [Line(rule, step.of, None, None, term) for rule, _, term in step.rules]
    return Contribution(numbers[step.through.out.name], step.read, (chain, *lines))


def _leading_to(wrt: str, backward: list[Entry], derivation: Derivation) -> list[Entry]:
    """Keep the cotangents that ∂L/∂wrt is computed from, those written into their reader too."""
    wanted, kept = {derivation.gradient_of(wrt)}, []
    by_name = {e.equation.out.name: e for e in backward}
    stack = list(wanted)
    while stack:
        entry = by_name.get(stack.pop())
        if entry is None:
            continue
        through = {f"d_{s.through.out.name}" for s in _steps(entry, derivation)}
        for name in through | set(entry.equation.reads()):
            if name in by_name and name not in wanted:
                wanted.add(name)
                stack.append(name)
    kept = [e for e in backward if e.equation.out.name in wanted]
    return kept


def _steps(entry: Entry, derivation: Derivation) -> tuple[Step, ...]:
    of = entry.equation.out.of
    return derivation.adjoints[of].steps if of in derivation.adjoints else ()

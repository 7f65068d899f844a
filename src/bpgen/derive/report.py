"""A derivation as a numbered list: forward equations, then every cotangent with its steps.

The list is linear in the number of equations, and says of each cotangent which equations it came
through. How it looks is the business of `emit.document`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sympy import Expr

from bpgen.ir.derivation import Adjoint, Derivation, Step
from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.order import Group, Loop, ordered
from bpgen.ir.tangent import Curvature
from bpgen.ir.tensor import Role


@dataclass(frozen=True, slots=True)
class Line:
    """One rewriting of a contribution: the rule, and what it leads to."""

    rule: str
    term: Term


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one equation adds to a cotangent: `through` is that equation's number.

    It starts as `seed` · `local`, the product of the chain rule.
    """

    through: int
    read: Expr
    seed: Expr
    local: Expr
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A numbered equation; a cotangent with its contributions, perhaps written into its reader.

    `loops` are those it is computed in, the outermost first. `moves` is the number of the equation
    that a tangent is the derivative of.
    """

    number: int
    equation: Equation
    contributions: tuple[Contribution, ...] = ()
    inlined: bool = False
    helper: bool = False
    loops: tuple[Loop, ...] = ()
    moves: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The whole list; `updates` give states their next values."""

    forward: tuple[Entry, ...]
    backward: tuple[Entry, ...]
    updates: tuple[Entry, ...] = ()


def report(derivation: Derivation, wrt: str | None = None) -> Report:
    """Return the numbered derivation, or the part of it that leads to ∂L/∂wrt.

    A part has the numbers of the whole.
    """
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
    count = len(forward) + len(backward) + 1
    updates = [Entry(k, e) for k, e in enumerate(source.updates, count)] if wrt is None else []
    return Report(_in_loops(forward), _in_loops(kept), tuple(updates))


def curvature_report(curvature: Curvature, before: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the numbered equations of a product of second derivatives, but those of `before`."""
    numbers = {e.equation.out.name: e.number for e in before}
    known = {e.equation for e in before}
    fresh = [e for e in curvature.equations if e not in known]
    first = max(numbers.values()) + 1
    numbers |= {e.out.name: k for k, e in enumerate(fresh, first)}
    moves = {e.out.name: numbers.get(e.out.of, 0) for e in fresh if e.out.role is Role.TANGENT}
    entries = [Entry(numbers[e.out.name], e, moves=moves.get(e.out.name, 0)) for e in fresh]
    return _in_loops(entries)


def _in_loops(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Say of each entry which loops it is computed in.

    A cotangent that is written into its reader is in the loops that both its neighbours are in.
    """
    named = [e.equation for e in entries if not e.inlined]
    around = _around(ordered(named), ())
    known = [around.get(e.equation.out.name) if not e.inlined else None for e in entries]
    found: list[Entry] = []
    for k, entry in enumerate(entries):
        own = known[k]
        if own is None:
            before = found[-1].loops if found else ()
            after = next((loops for loops in known[k:] if loops is not None), ())
            own = tuple(a for a, b in zip(before, after, strict=False) if a is b)
        found.append(replace(entry, loops=own))
    return tuple(found)


def _around(groups: Iterable[Group], loops: tuple[Loop, ...]) -> dict[str, tuple[Loop, ...]]:
    found: dict[str, tuple[Loop, ...]] = {}
    for group in groups:
        if isinstance(group, Loop):
            found |= _around(group.body, (*loops, group))
        else:
            found[group.out.name] = loops
    return found


def _entry(number: int, adjoint: Adjoint, numbers: Mapping[str, int]) -> Entry:
    found = tuple(_contribution(s, numbers) for s in adjoint.steps)
    return Entry(number, adjoint.equation, found, adjoint.inlined)


def _contribution(step: Step, numbers: Mapping[str, int]) -> Contribution:
    lines = tuple(Line(rule, term) for rule, term in step.rules)
    return Contribution(numbers[step.through.out.name], step.read, step.seed, step.local, lines)


def _leading_to(wrt: str, backward: list[Entry], derivation: Derivation) -> list[Entry]:
    """Keep the cotangents that ∂L/∂wrt is computed from, those written into their reader too."""
    wanted = {derivation.gradient_of(wrt)}
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
    return [e for e in backward if e.equation.out.name in wanted]


def _steps(entry: Entry, derivation: Derivation) -> tuple[Step, ...]:
    of = entry.equation.out.of
    return derivation.adjoints[of].steps if of in derivation.adjoints else ()

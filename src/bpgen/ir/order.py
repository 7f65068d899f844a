"""Which equations form a loop, over which index, in which direction: found, not declared.

The equations of a network are a graph: each one reads what others define. A recurrence is a cycle
of that graph, and may be computed if every way around it goes from the entries at one index value
to those of the next: `h[n,t]` reads `h[n,t-1]`. Such equations form a loop over `t`; equations of
a loop that still form a cycle at one value of `t` form a loop inside it, over another index.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sympy

from bpgen.errors import RecurrenceError
from bpgen.ir.equation import Equation
from bpgen.ir.expr import Access, indices_of
from bpgen.ir.index import Index
from bpgen.ir.tensor import Role

Links = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Loop:
    """Equations that are computed in turn for each value of `index`, downwards if `reverse`."""

    index: Index
    reverse: bool
    body: tuple[Equation | Loop, ...]

    def equations(self) -> tuple[Equation, ...]:
        """Return the equations of the body, those of the loops inside it too, in order."""
        return flat(self.body)


Group = Equation | Loop


def ordered(equations: Iterable[Equation]) -> tuple[Group, ...]:
    """Return the equations and loops in an order in which they can be computed.

    Where the given order allows it, it is kept.
    Errors: RecurrenceError for a cycle that no loop computes.
    """
    given = tuple(equations)
    return given if _is_sorted(given) else _grouped(given, {e.out.name: e for e in given}, ())


def flat(groups: Iterable[Group]) -> tuple[Equation, ...]:
    """Return the equations of `groups`, one after the other."""
    return tuple(e for g in groups for e in (g.equations() if isinstance(g, Loop) else (g,)))


def shift(read: Access, axes: tuple[Index, ...], index: Index) -> int | None:
    """Return how far from `index` a tensor is read along that one of its `axes`; None if unknown.

    0 is the same value of `index`, -1 the one before.
    """
    if index not in axes:
        return None
    place = axes.index(index)
    others = read.indices[:place] + read.indices[place + 1 :]
    by = read.indices[place] - index
    if not isinstance(by, sympy.Integer) or any(index in indices_of(at) for at in others):
        return None
    return int(by)


def _is_sorted(equations: Sequence[Equation]) -> bool:
    """Whether every equation reads only what stands before it."""
    later = {e.out.name for e in equations if e.out.role is not Role.STATE}
    for equation in equations:
        if not later.isdisjoint(equation.reads()):
            return False
        later.discard(equation.out.name)
    return True


def _grouped(
    equations: Sequence[Equation], known: Mapping[str, Equation], around: tuple[Index, ...]
) -> tuple[Group, ...]:
    """Order equations; `around` are the indices of the loops they stand in."""
    # A state is read as it was before the step, so that nothing waits for its next value.
    names = {e.out.name for e in equations if e.out.role is not Role.STATE}
    links = {
        e.out.name: tuple(
            a.name
            for a in e.accesses()
            if a.name in names and not any(shift(a, known[a.name].out.indices, i) for i in around)
        )
        for e in equations
    }
    place = {e.out.name: k for k, e in enumerate(equations)}
    found: list[tuple[list[Equation], Group]] = []
    for component in _components(links):
        members = [known[name] for name in sorted(component, key=place.__getitem__)]
        (first, *others) = members
        if others or first.out.name in links[first.out.name]:
            found.append((members, _loop(members, known, around)))
        else:
            found.append((members, first))
    return _sorted(found, links, place)


def _loop(
    members: Sequence[Equation], known: Mapping[str, Equation], around: tuple[Index, ...]
) -> Loop:
    """Return the loop that computes equations which read each other."""
    names = {e.out.name for e in members}
    reads = [(e, a) for e in members for a in e.accesses() if a.name in names]
    common = [i for i in members[0].out.indices if all(i in e.out.indices for e in members)]
    refused = RecurrenceError(
        f"`{members[0].out.name}` is computed from itself",
        where=next((e.where for e in members if e.where), None),
        disagree="; ".join(f"{e.out.canonical} reads {a}" for e, a in reads[:3]),
        rule="A recurrence reads what it has computed at the index before, never at the same one.",
        way_out="Declare the state with bp.recurrence, and read it as h[n, t-1, k].",
    )
    for index in (i for i in common if i not in around):
        shifts = {shift(a, known[a.name].out.indices, index): (e, a) for e, a in reads}
        if {-1, 1} <= set(shifts):
            refused = _both_ways(shifts[-1], shifts[1], index)
        elif set(shifts) - {0} in ({-1}, {1}):
            try:
                body = _grouped(members, known, (*around, index))
            except RecurrenceError as error:
                refused = error
            else:
                return Loop(index, 1 in shifts, body)
    raise refused


def _both_ways(
    before: tuple[Equation, Access], after: tuple[Equation, Access], index: Index
) -> RecurrenceError:
    return RecurrenceError(
        f"a recurrence over `{index}` reads the future",
        where=after[0].where or before[0].where,
        disagree=f"{before[0].out.canonical} reads {before[1]}; "
        f"{after[0].out.canonical} reads {after[1]}",
        rule=f"A recurrence runs upwards and reads `{index} - 1`, "
        f"or downwards and reads `{index} + 1`.",
        way_out="Use two recurrences, one for each direction, and put their results together.",
    )


def _sorted(
    found: Sequence[tuple[list[Equation], Group]], links: Links, place: Mapping[str, int]
) -> tuple[Group, ...]:
    """Order the components so that each comes after what it reads, else as they were given."""
    owner = {e.out.name: k for k, (members, _) in enumerate(found) for e in members}
    sources = [
        {owner[name] for e in members for name in links[e.out.name]} - {k}
        for k, (members, _) in enumerate(found)
    ]
    readers: dict[int, list[int]] = {}
    for k, before in enumerate(sources):
        for source in before:
            readers.setdefault(source, []).append(k)
    first = [place[members[0].out.name] for members, _ in found]
    open_ = [(first[k], k) for k, before in enumerate(sources) if not before]
    heapq.heapify(open_)
    result = []
    while open_:
        _, k = heapq.heappop(open_)
        result.append(found[k][1])
        for reader in readers.get(k, ()):
            sources[reader].discard(k)
            if not sources[reader]:
                heapq.heappush(open_, (first[reader], reader))
    return tuple(result)


def _components(links: Links) -> list[list[str]]:
    """Return the strongly connected components of a graph.

    Source: R. Tarjan 1972, Depth-first search and linear graph algorithms, section 4.
    """
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: dict[str, None] = {}
    found: list[list[str]] = []
    for root in links:
        path = [] if root in number else [(root, iter(links[root]))]
        number.setdefault(root, len(number))
        low.setdefault(root, number[root])
        open_ |= dict.fromkeys(name for name, _ in path)
        while path:
            name, targets = path[-1]
            target = next(targets, None)
            if target is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[name])
                if low[name] == number[name]:
                    found.append(_closed(name, open_))
            elif target not in number:
                number[target] = low[target] = len(number)
                open_[target] = None
                path.append((target, iter(links[target])))
            elif target in open_:
                low[name] = min(low[name], number[target])
    return found


def _closed(root: str, open_: dict[str, None]) -> list[str]:
    """Take the component of `root` off the open names: everything that came after it."""
    component = []
    while True:
        name, _ = open_.popitem()
        component.append(name)
        if name == root:
            return component

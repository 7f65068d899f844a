"""States: what training changes by a formula, and no gradient does.

A running mean is a state. Its next value is a formula of the step: of what the forward pass has
computed, of the parameters as that pass has read them, and of states, which all change at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bpgen.declare.define import define
from bpgen.declare.given import given
from bpgen.declare.option import option
from bpgen.declare.variable import Auto, Head, Name, Variable, check_once, here, reachable
from bpgen.errors import StateError
from bpgen.ir.equation import Equation, Term
from bpgen.ir.index import Index
from bpgen.ir.tensor import Init, Role


def state(name: Name, *indices: Index, start: float = 0) -> Variable:
    """Declare a tensor that is kept from one step to the next; `bp.update` says how it changes.

    Shapes: one axis for each of `indices`, in order; none for a scalar. All entries are `start`
    before the first step.
    Errors: IndexUseError if an index stands on two axes; OptionError if `start` is no number.
    """
    check_once(name if isinstance(name, str) else name.plain, indices)
    return given(name, indices, Role.STATE, init=Init("constant", option("`start`", start)))


def update(state: Variable, formula: Any) -> None:
    """State what a state becomes, once a step: `state[I] ← formula(I)`.

    The formula is read in training, after the forward pass: every entry has its value of that pass,
    parameters and states too. No gradient flows through it.
    Errors: StateError if `state` is no state, or has a next value; IndexUseError and StateError
    as in `bp.define`.
    """
    if not isinstance(state, Variable) or state.tensor.role is not Role.STATE:
        raise StateError(
            f"`{getattr(state, 'label', state)}` is not a state, and cannot be updated",
            where=here(),
            rule="Parameters are changed by the optimizer; the rest is computed anew in each step.",
            way_out='Declare it: bp.state("…", …, start=0).',
        )
    if state.update is not None:
        raise StateError(
            f"state `{state.label}` is updated twice",
            where=here(),
            disagree=f"first at {state.update.where}",
            rule="One formula gives the next value.",
            way_out="Write one formula that does both.",
        )
    name = Auto("{}_next", always=False, of=(state,))
    value = define(name, state.indices, formula)
    assert value.equation is not None
    in_place = _changes_in_place(value.equation, state)
    terms = value.equation.terms if in_place else (Term(value[value.indices]),)
    state.update = Equation(state.tensor, terms, where=here())


def _changes_in_place(equation: Equation, state: Variable) -> bool:
    """Whether an entry of the next value reads, of the state itself, that entry alone."""
    own = {entry for entry in equation.accesses() if entry.head == state.head}
    is_map = equation.is_map and len(equation.terms) == 1 and equation.out.role is Role.ACTIVATION
    return is_map and own <= {state[state.indices]}


def updated(roots: Iterable[Variable]) -> tuple[Variable, ...]:
    """Return the states that `roots` depend on, and those that their updates depend on, in order.

    Errors: StateError if one has no update.
    """
    found: dict[int, Variable] = {}
    reached = reachable([*roots])
    while new := [v for v in reached if _is_state(v) and v.serial not in found]:
        found |= {v.serial: v for v in new}
        reached = reachable([source for v in new for source in sources(v)])
    return tuple(found[serial] for serial in sorted(found))


def sources(state: Variable) -> tuple[Variable, ...]:
    """Return the variables that the next value of `state` is computed from.

    Errors: StateError if it has none.
    """
    if state.update is None:
        raise StateError(
            f"state `{state.label}` has no next value",
            where=state.tensor.where,
            rule="A state changes in every step.",
            way_out=f"State how: bp.update({state.label}, …), or declare "
            "bp.parameter(…, train=False), which stays.",
        )
    heads = {head for term in state.update.terms for head in term.body.atoms(Head)}
    return tuple(sorted((h.variable for h in heads), key=lambda v: v.serial))


def in_order(states: Iterable[Variable]) -> tuple[Variable, ...]:
    """Return states in an order in which each is read by the others before it changes.

    Errors: StateError if there is none.
    """
    left, ordered = [*states], []
    while left:
        free = [v for v in left if not any(v in sources(other) for other in left if other is not v)]
        if not free:
            last = left[-1].update
            raise StateError(
                f"states `{left[0].label}` and `{left[-1].label}` read each other",
                where=last.where if last else None,
                rule="All states change at once, and the first to change would be lost.",
                way_out=f"Keep it: before = bp.define(…, {left[0].label}[…]), and read `before`.",
            )
        ordered.append(free[0])
        left.remove(free[0])
    return tuple(ordered)


def _is_state(variable: Variable) -> bool:
    return variable.tensor.role is Role.STATE

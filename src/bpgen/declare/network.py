"""From variables to a network: collect what the loss reaches, name it, write the equations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import sympy
from sympy import Expr

from bpgen.declare.define import renamed
from bpgen.declare.freeze import frozen_names
from bpgen.declare.given import checked_name, is_name
from bpgen.declare.state import in_order, sources, updated
from bpgen.declare.variable import Auto, Variable, reachable
from bpgen.errors import LossError, NameTakenError, RecurrenceError, UnreachedError
from bpgen.ir.equation import Equation
from bpgen.ir.index import Index
from bpgen.ir.index import index as make_index
from bpgen.ir.network import Network
from bpgen.ir.order import flat, ordered
from bpgen.ir.tensor import GIVEN, Role, Tensor

_LETTERS = "hkdjefgmqruvbtcs"
# What is mistaken for another letter or a number, and constants of the emitted module.
_CAPITALS = frozenset(
    "I L O BATCH BLOCK DTYPE FOLLOWED INPUTS KEPT OUTPUTS PARAMETERS SIZE SPANS STATES STORAGE "
    "STORED TABLES TILE".split()
)


def network(
    loss: Variable,
    outputs: Mapping[str, Variable],
    *,
    name: str,
    doc: str = "",
    bound: Mapping[str, Variable] | None = None,
    frozen: Sequence[str] = (),
) -> Network:
    """Return the network that computes `loss` and `outputs`, and the states that go with it.

    `bound` are the variables that the model file binds to names; they are named so. `frozen` are
    parameters that are not trained, or layers: `fc1` is all parameters `fc1_…`.
    Errors: LossError if the loss has an index, is given, or depends on no parameter;
    NameTakenError; UnreachedError for a parameter from which no path leads to the loss;
    FrozenError for a name in `frozen` that no parameter has; StateError for a state without an
    update; RecurrenceError for a recurrence without a formula, or a cycle that no loop computes.
    """
    _check_defined(reachable([loss, *outputs.values()]))
    _check_loss(loss)
    for label in outputs:
        checked_name(label)
    bound = bound or {}
    states, computed, reached = _reached(loss, outputs, bound)
    _check_reached(reachable([loss]), reachable([*outputs.values(), *bound.values()]))
    names = _names(reached, loss, outputs, bound)
    indices = _letters(reached, frozenset(names.values()))
    mapping: dict[Expr, Expr] = {**indices}
    mapping |= {v.head: sympy.Symbol(names[v.serial], real=True) for v in reached}
    still = frozen_names(frozen, [v for v in reached if _is_parameter(v)], names)
    tensors: dict[str, Tensor] = {}
    for variable in sorted(reached, key=lambda v: v.tensor.role not in GIVEN):
        tensor = _final(variable.tensor, names[variable.serial], indices)
        role = Role.LOSS if variable is loss else tensor.role
        tensors[tensor.name] = replace(tensor, role=Role.FROZEN if tensor.name in still else role)

    def written(variable: Variable, equation: Equation) -> Equation:
        return renamed(equation, tensors[names[variable.serial]], mapping)

    defined = [(v, v.equation) for v in reached if v.equation is not None]
    inside = {v.serial for v in computed}
    equations = flat(ordered(written(v, e) for v, e in defined if v.serial in inside))
    beside = tuple(written(v, e) for v, e in defined if v.serial not in inside)
    updates = (*beside, *(written(v, v.update) for v in in_order(states) if v.update is not None))
    given_names = {label: names[v.serial] for label, v in outputs.items()}
    result = Network(name, tensors, equations, names[loss.serial], given_names, doc, updates)
    result.check()
    return result


def final_names(
    loss: Variable, outputs: Mapping[str, Variable], bound: Mapping[str, Variable]
) -> dict[int, str]:
    """Return the name of every variable in the network of `loss`, by its serial."""
    return _names(_reached(loss, outputs, bound)[2], loss, outputs, bound)


def _reached(
    loss: Variable, outputs: Mapping[str, Variable], bound: Mapping[str, Variable]
) -> tuple[tuple[Variable, ...], tuple[Variable, ...], tuple[Variable, ...]]:
    """Return the states, what loss and outputs are computed from, and that with the states."""
    states = updated([loss, *outputs.values(), *(v for v in bound.values() if _is_state(v))])
    computed = reachable([loss, *outputs.values()])
    reached = reachable([*computed, *states, *(s for v in states for s in sources(v))])
    return tuple(states), computed, reached


def _is_state(variable: Variable) -> bool:
    return variable.tensor.role is Role.STATE


def _is_parameter(variable: Variable) -> bool:
    return variable.tensor.role in {Role.PARAMETER, Role.FROZEN}


def _final(tensor: Tensor, name: str, indices: Mapping[Expr, Expr]) -> Tensor:
    """Return `tensor` with its name and the letters of its axes, in its first scale too."""
    axes = tuple(indices.get(i, i) for i in tensor.indices)
    init = tensor.init and replace(tensor.init, scale=tensor.init.scale.xreplace(indices))
    return replace(tensor, name=name, indices=axes, init=init)


def _check_loss(loss: Variable) -> None:
    if loss.indices:
        axes = ",".join(map(str, loss.indices))
        raise LossError(
            f"the loss `{loss.label}` is not a scalar",
            where=loss.tensor.where,
            disagree=f"it is {loss.label}[{axes}]",
            rule="A gradient is that of one number.",
            way_out=f"Reduce it: bp.mean({loss.label}[{axes}], over=({axes})).",
        )
    if loss.equation is None:
        raise LossError(
            f"the loss `{loss.label}` is given, not computed",
            where=loss.tensor.where,
            way_out="Give a formula of it: what a loss of bpgen.losses returns, or bp.define.",
        )
    if not any(v.tensor.role is Role.PARAMETER for v in reachable([loss])):
        raise LossError(
            f"no parameter reaches the loss `{loss.label}`",
            where=loss.tensor.where,
            rule="A gradient is taken by parameters: without one, nothing can be trained.",
            way_out="Declare one with bp.parameter, or use a layer that has parameters.",
        )


def _check_reached(reached: tuple[Variable, ...], others: tuple[Variable, ...]) -> None:
    serials = {v.serial for v in reached}
    for variable in others:
        if variable.tensor.role is Role.PARAMETER and variable.serial not in serials:
            raise UnreachedError(
                f"parameter `{variable.label}` never reaches the loss",
                where=variable.tensor.where,
                rule="A parameter that the loss does not depend on has no gradient, "
                "and cannot be trained.",
                way_out="Use what it computes in the loss, or delete it.",
            )


def _check_defined(reached: tuple[Variable, ...]) -> None:
    for variable in reached:
        if variable.equation is None and variable.tensor.role not in GIVEN:
            raise RecurrenceError(
                f"the recurrence `{variable.label}` has no formula",
                where=variable.tensor.where,
                rule="A state is declared first, read at the index before, and given its formula "
                "at last.",
                way_out=f"Write {variable.label}.becomes(…).",
            )


def _names(
    reached: tuple[Variable, ...],
    loss: Variable,
    outputs: Mapping[str, Variable],
    bound: Mapping[str, Variable],
) -> dict[int, str]:
    """Return the final name of each variable, by its serial."""
    taken: dict[str, Variable] = {}
    for variable in reached:
        if isinstance(variable.wanted, str):
            _take(taken, checked_name(variable.wanted), variable)
    names = {v.serial: name for name, v in taken.items()}
    suggestions = {**{v.serial: n for n, v in [*outputs.items(), *bound.items()]}}
    suggestions.setdefault(loss.serial, "loss")
    for variable in reached:
        wish = suggestions.get(variable.serial, "")
        if variable.serial not in names and _is_free(wish, taken):
            _take(taken, wish, variable)
            names[variable.serial] = wish
    _number([v for v in reached if v.serial not in names], taken, names)
    return names


def _is_free(wish: str, taken: Mapping[str, Variable]) -> bool:
    return is_name(wish) and wish not in taken


def _take(taken: dict[str, Variable], name: str, variable: Variable) -> None:
    if name in taken:
        raise NameTakenError(
            f"the name `{name}` is used twice",
            where=variable.tensor.where,
            disagree=f"first at {taken[name].tensor.where}",
            rule="A name is one buffer of the emitted file.",
            way_out="Give the second one another name (layers take `name=`).",
        )
    taken[name] = variable


def _number(rest: list[Variable], taken: dict[str, Variable], names: dict[int, str]) -> None:
    """Complete the names bpgen gives: `z1`, `z2`; `p` stays `p` if there is but one."""
    stems = [v.label for v in rest]
    count: dict[str, int] = {}
    for variable in rest:
        assert isinstance(variable.wanted, Auto)
        stem = variable.wanted.stem.format(*(names[v.serial] for v in variable.wanted.of))
        lone = not variable.wanted.always and stems.count(variable.label) == 1 and stem not in taken
        name = stem if lone else ""
        while not name or name in taken:
            count[stem] = count.get(stem, 0) + 1
            name = f"{stem}{count[stem]}"
        taken[name] = variable
        names[variable.serial] = name


def _letters(reached: tuple[Variable, ...], tensors: frozenset[str]) -> dict[Expr, Expr]:
    """Give each index a letter of its own extent, so that `H` is one number in the whole file."""
    wanted: dict[Index, None] = {}
    for variable in reached:
        wanted |= dict.fromkeys(variable.indices)
        if variable.equation is not None:
            terms = variable.equation.terms + (variable.equation.predict or ())
            wanted |= dict.fromkeys(i for t in terms for i in t.over)
    # The first index of a name keeps it; the others choose among the letters that are left.
    keeps = {index.name: index for index in reversed(wanted)}
    taken: dict[str, int | None] = {}
    mapping: dict[Expr, Expr] = {}
    ordered = sorted(wanted, key=lambda i: keeps[i.name] != i or not _is_fit(str(i.name), tensors))
    for index in ordered:
        letter = _letter(index, taken, tensors)
        taken[letter] = index.extent.value
        if letter != index.name:
            renamed_index = make_index(letter, index.extent.value)
            mapping |= {index: renamed_index, index.extent: renamed_index.extent}
    return mapping


def _letter(index: Index, taken: Mapping[str, int | None], tensors: frozenset[str]) -> str:
    value: int | None = index.extent.value
    own = str(index.name)
    letters: list[str] = [own, *_LETTERS, *(f"{own}{k}" for k in range(2, 1000))]
    for letter in letters:
        fits = taken.get(letter, value) == value and _is_fit(letter, tensors)
        if fits and (letter == own or letter not in taken):
            return letter
    raise AssertionError("a thousand extents share one letter")


def _is_fit(letter: str, tensors: frozenset[str]) -> bool:
    """Whether the capital of `letter` can name an extent."""
    capital = letter[:1].upper() + letter[1:]
    return capital not in tensors and capital not in _CAPITALS

"""Which catalog entry made which tensor, with which arguments: noted while a model file runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from bpgen import activations, layers, losses
from bpgen.declare import arithmetic
from bpgen.declare.variable import Auto, Variable, reachable
from bpgen.ir.tensor import Role

_ROOMS = (layers, activations, losses)
_OWN = frozenset({Role.PARAMETER, Role.FROZEN, Role.TABLE, Role.NOISE})


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the entry's name, its arguments by name, and the tensor it returned.

    `combine` is the operation itself where the entry is arithmetic between tensors.
    """

    entry: str
    arguments: Mapping[str, Any]
    result: Variable
    combine: Callable[[Any, Any], Any] | None = None

    @property
    def inputs(self) -> tuple[Variable, ...]:
        """Return the tensors among the arguments."""
        flat = [a for v in self.arguments.values() for a in (v if isinstance(v, tuple) else (v,))]
        return tuple(a for a in flat if isinstance(a, Variable))

    def own(self) -> dict[str, Variable]:
        """Return what the call declared, parameters and noise, by name without the layer's."""
        before = {v.serial for v in reachable(self.inputs)}
        made = (v for v in reachable([self.result]) if v.serial not in before)
        return {self._short(v): v for v in made if v.tensor.role in _OWN}

    def _short(self, variable: Variable) -> str:
        wanted = variable.wanted
        if isinstance(wanted, Auto):
            return wanted.stem
        name = self.arguments.get("name")
        return wanted.removeprefix(f"{name}_") if name else wanted


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """Yield a list that grows by every call of the catalog; calls inside an entry are its own."""
    calls: list[Call] = []
    inside: list[str] = []
    before = [(room, name, getattr(room, name)) for room in _ROOMS for name in room.__all__]
    elementwise = arithmetic.elementwise
    for room, name, entry in before:
        if callable(entry):
            setattr(room, name, _noting(name, entry, calls, inside))
    arithmetic.elementwise = _combining(elementwise, calls, inside)
    try:
        yield calls
    finally:
        _restore(before)
        arithmetic.elementwise = elementwise


def _restore(before: list[tuple[ModuleType, str, Any]]) -> None:
    for room, name, entry in before:
        setattr(room, name, entry)


def _noting(name: str, entry: Any, calls: list[Call], inside: list[str]) -> Any:
    @functools.wraps(entry)
    def call(*arguments: Any, **options: Any) -> Any:
        inside.append(name)
        try:
            result = entry(*arguments, **options)
        finally:
            inside.pop()
        if isinstance(result, Variable) and not inside:
            bound = inspect.signature(entry).bind(*arguments, **options)
            bound.apply_defaults()
            given = {**bound.arguments, **bound.arguments.get("options", {})}
            calls.append(Call(name, given, result))
        return result

    return call


def _combining(elementwise: Any, calls: list[Call], inside: list[str]) -> Any:
    def call(stem: str, combine: Any, left: Any, right: Any) -> Variable:
        result: Variable = elementwise(stem, combine, left, right)
        if not inside:
            calls.append(Call(stem, {"left": left, "right": right}, result, combine))
        return result

    return call

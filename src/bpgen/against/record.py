"""Which catalog entry made which tensor, with which arguments: noted while a model file runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bpgen import activations, declare, layers, losses
from bpgen.declare import arithmetic, slicing
from bpgen.declare.variable import Auto, Variable, reachable
from bpgen.ir.tensor import Role

_ROOMS = (activations, layers, losses)
_OWN = frozenset({Role.PARAMETER, Role.FROZEN, Role.TABLE, Role.NOISE})


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the entry's name, its arguments by name, and the tensor it returned.

    An argument that is an entry of the catalog, such as an activation, is given by its name.
    `own` is what it declared, parameters, noise and tables, by name without the layer's, in order;
    `weights` are the parameters of before that its formulas read.
    """

    entry: str
    arguments: Mapping[str, Any]
    result: Variable
    own: Mapping[str, Variable]
    weights: tuple[Variable, ...]


@dataclass(frozen=True, slots=True)
class Repetition:
    """The calls of a repeated block, traced once: from `inner`, which is `x` at first, to `result`.

    `lifted` are the tensors that stand for those of all blocks, by the serial of the traced one;
    `last` is the result of the last block.
    """

    x: Variable
    times: int
    inner: Variable
    result: Variable
    steps: tuple[Step, ...]
    lifted: Mapping[int, Variable]
    last: Variable


Step = Call | Repetition


@contextmanager
def recorded() -> Iterator[list[Step]]:
    """Yield a list that grows by every call of the catalog; calls inside an entry are its own.

    Arithmetic between tensors, and slices of them, are calls too.
    """
    recorder = _Recorder()
    entries = [(room, name) for room in _ROOMS for name in room.__all__]
    patched: list[tuple[Any, str]] = [*entries, (arithmetic, "elementwise"), (slicing, "sliced")]
    before = [(room, name, getattr(room, name)) for room, name in [*patched, (declare, "repeat")]]
    for room, name in patched:
        setattr(room, name, recorder.noting(name, getattr(room, name)))
    setattr(declare, "repeat", recorder.following(declare.repeat))  # noqa: B010  as the others are
    try:
        yield recorder.steps
    finally:
        for room, name, entry in before:
            setattr(room, name, entry)


def variables(arguments: Mapping[str, Any]) -> tuple[Variable, ...]:
    """Return the tensors among arguments."""
    flat = [a for v in arguments.values() for a in (v if isinstance(v, tuple) else (v,))]
    return tuple(a for a in flat if isinstance(a, Variable))


class _Recorder:
    """The steps so far, and whether an entry of the catalog is at work."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._is_inside = False

    def noting(self, name: str, entry: Callable[..., Any]) -> Callable[..., Any]:
        """Return `entry`, whose calls are noted."""
        signature = inspect.signature(entry)

        @functools.wraps(entry)
        def call(*given: Any, **options: Any) -> Any:
            if self._is_inside:
                return entry(*given, **options)
            self._is_inside = True
            try:
                result = entry(*given, **options)
            finally:
                self._is_inside = False
            if isinstance(result, Variable):
                bound = signature.bind(*given, **options)
                bound.apply_defaults()
                self.steps.append(_call(name, bound.arguments, result))
            return result

        return call

    def following(self, repeat: Callable[..., Variable]) -> Callable[..., Variable]:
        """Return `repeat`, whose block is followed."""

        @functools.wraps(repeat)
        def call(
            block: Callable[[Variable], Variable], times: int, x: Variable, **options: Any
        ) -> Variable:
            ends: dict[Variable, Variable] = {}

            def followed(inner: Variable) -> Variable:
                ends[inner] = block(inner)
                return ends[inner]

            around, self.steps = self.steps, []
            try:
                last = repeat(followed, times, x, **options)
            finally:
                steps, self.steps = self.steps, around
            ((inner, result),) = ends.items()
            lifted = {v.serial: v.lifted for v in reachable([result]) if v.lifted is not None}
            self.steps.append(Repetition(x, times, inner, result, tuple(steps), lifted, last))
            return last

        return call


def _call(name: str, given: Mapping[str, Any], result: Variable) -> Call:
    arguments = {n: _argument(a) for n, a in {**given, **given.get("options", {})}.items()}
    before = {v.serial for v in reachable(variables(arguments))}
    made = [v for v in reachable([result]) if v.serial not in before]
    own = [v for v in made if v.tensor.role in _OWN]
    read = {p for v in made for p in v.parents() if p.tensor.role in _OWN} - {*own}
    weights = tuple(sorted(read, key=lambda v: v.serial))
    entry = arguments.get("stem", name)
    return Call(entry, arguments, result, _by_name(own, arguments.get("name")), weights)


def _argument(value: Any) -> Any:
    """Return an argument; instead of a function, the name of the catalog entry that it is."""
    if not callable(value):
        return value
    entries = ((room, name) for room in _ROOMS for name in room.__all__)
    same = (n for r, n in entries if inspect.unwrap(getattr(r, n)) is inspect.unwrap(value))
    return next(same, None)


def _by_name(own: Iterable[Variable], layer: str | None) -> dict[str, Variable]:
    """Return what a call declared, by name without the layer's; a second W is called W2."""
    found: dict[str, Variable] = {}
    stems: list[str] = []
    for variable in own:
        wanted = variable.wanted
        stem = wanted.stem if isinstance(wanted, Auto) else wanted.removeprefix(f"{layer}_")
        stems.append(stem)
        again = stems.count(stem)
        found[f"{stem}{again}" if again > 1 else stem] = variable
    return found

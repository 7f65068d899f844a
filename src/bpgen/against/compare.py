"""Run a model's calls in a framework; compare every tensor, and the gradient if all is there."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from bpgen.against.record import Call, recorded
from bpgen.declare.variable import Variable
from bpgen.model import Model, load
from bpgen.verify.line import Base, base
from bpgen.verify.numbers import EXTENDED, FLOAT64, Array
from bpgen.verify.points import Point, generic
from bpgen.verify.problem import problem
from bpgen.verify.rounding import distance, limits

# A framework's own function may take another way to the same number.
_OTHER_WAY = 64
_GRADIENT = "gradient"


class Framework(Protocol):
    """What a file of this package offers: a table of counterparts, and how arrays come and go."""

    NAME: str
    ENTRIES: Mapping[str, Callable[..., Any]]

    def tensor(self, array: Array) -> Any:
        """Return an array as the framework has it, in float64 where it is real."""

    def array(self, tensor: Any) -> Array:
        """Return a tensor of the framework as an array."""

    def gradients(self, loss: Any, tensors: Sequence[Any]) -> list[Array]:
        """Return the gradient of `loss` by `tensors`, or nothing if the framework cannot."""


@dataclass(frozen=True, slots=True)
class Part:
    """One call: what it made, how far the framework is from it, and what rounding explains."""

    entry: str
    tensor: str
    error: float | None
    limit: float = 0.0

    @property
    def agrees(self) -> bool | None:
        """Whether the framework agrees; None if it has no counterpart."""
        return None if self.error is None else self.error <= self.limit

    def __str__(self) -> str:
        if self.error is None:
            return f"{self.entry}  {self.tensor}: no counterpart"
        text = f"{self.entry}  {self.tensor}: off by {self.error:.1e} of its size"
        return text if self.agrees else f"{text}; rounding explains {self.limit:.1e}"


@dataclass(frozen=True, slots=True)
class Against:
    """The comparison of one model with one framework."""

    framework: str
    network: str
    seed: int
    parts: tuple[Part, ...]
    chained: bool = False

    @property
    def verdict(self) -> str:
        """Return REFUTED if any part disagrees, UNDECIDED if none could be compared."""
        if any(p.agrees is False for p in self.parts):
            return "REFUTED"
        return "VERIFIED" if any(p.agrees for p in self.parts) else "UNDECIDED"

    def __str__(self) -> str:
        """Return the verdict, then one line for each call."""
        calls = [p for p in self.parts if p.entry != _GRADIENT]
        compared = [p for p in calls if p.agrees is not None]
        title = f"the forward of {self.network} against {self.framework}, seed {self.seed}"
        counted = f"{len(compared)} of {len(calls)} calls have a counterpart"
        chain = "; no number of bpgen's between the inputs and the loss" if self.chained else ""
        lines = [f"  {part}" for part in self.parts]
        return "\n".join([f"{self.verdict:<9}  {title}", f"  {counted}{chain}", *lines])

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as numbers, strings and lists."""
        parts = [
            {"entry": p.entry, "tensor": p.tensor, "error": p.error, "limit": p.limit}
            for p in self.parts
        ]
        return {
            "verdict": self.verdict,
            "framework": self.framework,
            "network": self.network,
            "seed": self.seed,
            "chained": self.chained,
            "parts": parts,
        }


def against(name: str, framework: Framework, seed: int | None = None) -> Against:
    """Compare the forward of the model file `name` with `framework`, call by call.

    A call reads what the framework computed for the calls before it; where one had no counterpart,
    the values that the equations give.
    """
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    with recorded() as calls:
        model = load(name)
    chain = _Chain(framework, model, seed)
    known = [c for c in calls if c.result.serial in chain.names]
    parts = (*map(chain.part, known), *chain.gradient())
    return Against(framework.NAME, model.network.name, seed, parts, chain.is_complete)


class _Chain:
    """The values of a point, in the framework, as calls compute more of them."""

    def __init__(self, framework: Framework, model: Model, seed: int) -> None:
        self.framework, self.names = framework, model.names()
        subject = problem(model.network, model.derive().derivation)
        self.point: Point = generic(subject, np.random.default_rng(seed))
        self.at: Base = base(subject, self.point, EXTENDED)
        real = [n for n, v in self.at.known.items() if v.dtype.kind != "i"]
        true = {n: self._true(n) for n in real}
        self.limits = limits(self.at, self.point, true, FLOAT64)
        self.tensors: dict[int, Any] = {}
        self.used: set[str] = set()
        self.independent = {s for s, n in self.names.items() if n in self.at.given}
        self.loss = model.network.loss

    @property
    def is_complete(self) -> bool:
        """Whether the loss comes from the inputs through counterparts alone."""
        return any(self.names[s] == self.loss for s in self.independent)

    def part(self, call: Call) -> Part:
        """Compute one call, and compare its result."""
        name = self.names[call.result.serial]
        function = self.framework.ENTRIES.get(call.entry)
        if call.combine is None and function is None:
            return Part(call.entry, name, None)
        own = {n: self._tensor(v) for n, v in call.own().items()}
        given = {n: self._argument(a) for n, a in call.arguments.items()}
        if call.combine is not None:
            found = call.combine(given["left"], given["right"])
        else:
            assert function is not None
            found = function(_Arguments(given), own)
        if found is None:
            return Part(call.entry, name, None)
        self.tensors[call.result.serial] = found
        array = self.framework.array(found)
        if {v.serial for v in call.inputs} <= self.independent:
            self.independent.add(call.result.serial)
        return self._part(call.entry, name, array)

    def gradient(self) -> Iterator[Part]:
        """Compare the gradient, if the framework computed the loss from the inputs alone."""
        losses = [s for s in self.independent if self.names[s] == self.loss]
        wanted = {p.name for p in self.at.problem.parameters}
        tensors = {n: self.tensors[s] for s, n in self.names.items() if n in wanted & self.used}
        if losses and len(tensors) == len(wanted):
            found = self.framework.gradients(self.tensors[losses[0]], list(tensors.values()))
            for name, array in zip(tensors, found, strict=False):
                yield self._part(_GRADIENT, self.at.problem.derivation.gradient_of(name), array)

    def _part(self, entry: str, name: str, array: Array) -> Part:
        true = self._true(name)
        size = float(np.abs(true).max(initial=0)) or 1.0
        error = distance(array, true) if array.shape == true.shape else float("inf")
        return Part(entry, name, error / size, _OTHER_WAY * self.limits[name] / size)

    def _true(self, name: str) -> Array:
        return self.at.numbers.nearest(self.at.known[name])

    def _argument(self, value: Any) -> Any:
        match value:
            case Variable():
                return self._tensor(value)
            case tuple():
                return tuple(map(self._argument, value))
            case _:
                return value

    def _tensor(self, variable: Variable) -> Any:
        if variable.serial in self.tensors:
            return self.tensors[variable.serial]
        name = self.names[variable.serial]
        values = self.at.known[name]
        values = values if values.dtype.kind == "i" else self._true(name)
        self.used.add(name)
        self.tensors[variable.serial] = self.framework.tensor(values)
        return self.tensors[variable.serial]


class _Arguments:
    """The arguments of a call, as attributes."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.__dict__.update(given)

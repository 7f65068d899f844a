"""The calls of a model, run in a framework: a function of the parameters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from sympy import Expr

from bpgen.against.framework import Framework, Tensors
from bpgen.against.record import Call, Repetition, Step, variables
from bpgen.declare.variable import Variable
from bpgen.verify.numbers import Array

Block = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the framework, and the names of what the equations gave on the way to it."""

    tensor: Any
    borrowed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Computed:
    """What a call gave, in the block where it is repeated; no value if it has no counterpart."""

    entry: str
    name: str
    block: Block
    value: Value | None


@dataclass(frozen=True, slots=True)
class Chain:
    """The calls of a model, and what they start from.

    `names` are those of all tensors of the network, by the serial of the variable; `values` hold
    what no call computes; `given` says which of them are inputs, and which the equations gave.
    """

    steps: tuple[Step, ...]
    names: Mapping[int, str]
    values: Mapping[str, Array]
    given: Collection[str]

    def has(self, variable: Variable) -> bool:
        """Whether the network has this tensor: a call whose result is never used made none."""
        return variable.serial in self.names


@dataclass(frozen=True, slots=True)
class Given:
    """What no call computes: the parameters, as the framework has them, and the other values."""

    framework: Framework
    chain: Chain
    parameters: Tensors

    def value(self, variable: Variable, block: Block) -> Value:
        """Return a tensor, or a block's part of one; all but inputs and parameters is borrowed."""
        name = self.chain.names[variable.serial]
        if name in self.parameters:
            found = self.parameters[name]
            for b in block:
                found = found[b]
            return Value(found)
        borrowed = frozenset() if name in self.chain.given else frozenset({name})
        return Value(self.framework.tensor(self.chain.values[name][block]), borrowed)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is computed so far, in the model or in one block of it, by the serial of the variable.

    A block sees what is computed around it, but for the tensors that each block has for itself.
    """

    given: Given
    around: Scope | None = None
    lifted: Mapping[int, Variable] = field(default_factory=dict)
    number: int = 0
    values: dict[int, Value] = field(default_factory=dict)

    def place(self, variable: Variable) -> tuple[Variable, Block]:
        """Return the tensor of the network that holds this one, and where."""
        if self.around is None:
            return variable, ()
        whole, block = self.around.place(self.lifted.get(variable.serial, variable))
        return whole, (*block, self.number) if variable.serial in self.lifted else block

    def value(self, variable: Variable) -> Value:
        """Return what a call computed, or what is given."""
        if variable.serial in self.values:
            return self.values[variable.serial]
        if self.around is not None and variable.serial not in self.lifted:
            return self.around.value(variable)
        return self.given.value(*self.place(variable))

    def argument(self, value: Any) -> Any:
        """Return an argument of a call as the framework takes it."""
        match value:
            case Variable():
                return self.value(value).tensor
            case tuple():
                return tuple(map(self.argument, value))
            case Expr():
                return float(value)
            case _:
                return value


def replayed(framework: Framework, chain: Chain, parameters: Tensors) -> Iterator[Computed]:
    """Run the calls of a model one after the other; each takes what those before it gave."""
    return _run(chain.steps, Scope(Given(framework, chain, parameters)))


def value_of(name: str, computed: Iterable[Computed]) -> Value | None:
    """Return the tensor `name` as calls gave it; None if it has no counterpart."""
    found = [call.value for call in computed if call.name == name]
    return found[-1] if found else None


def _run(steps: tuple[Step, ...], scope: Scope) -> Iterator[Computed]:
    for step in steps:
        match step:
            case Call():
                yield from _called(step, scope)
            case Repetition():
                yield from _repeated(step, scope)


def _called(call: Call, scope: Scope) -> Iterator[Computed]:
    """Compute one call by its counterpart, if the network has its result."""
    whole, block = scope.place(call.result)
    if not scope.given.chain.has(whole):
        return
    value = None
    counterpart = scope.given.framework.ENTRIES.get(call.entry)
    if counterpart is not None:
        arguments = {n: scope.argument(a) for n, a in call.arguments.items()}
        weights = scope.argument(call.weights)
        own = {n: scope.value(v).tensor for n, v in call.own.items()}
        found = counterpart(SimpleNamespace(**arguments, weights=weights), own)
        if found is not None:
            inputs = map(scope.value, variables(call.arguments))
            value = Value(found, frozenset().union(*(v.borrowed for v in inputs)))
            scope.values[call.result.serial] = value
    yield Computed(call.entry, scope.given.chain.names[whole.serial], block, value)


def _repeated(step: Repetition, scope: Scope) -> Iterator[Computed]:
    """Run a block as often as it is repeated, each time with its own parameters."""
    if not scope.given.chain.has(scope.place(step.last)[0]):
        return
    value = scope.value(step.x)
    for number in range(step.times):
        block = Scope(scope.given, scope, step.lifted, number, {step.inner.serial: value})
        yield from _run(step.steps, block)
        value = block.value(step.result)
    scope.values[step.last.serial] = value

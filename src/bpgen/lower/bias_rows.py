"""A bias as one more row of the weights: one product for both, forward and backward.

    z[n,h] = Σ_d x[n,d] W[d,h] + b[h]     is     z[n,h] = Σ_d x_1[n,d] W_b[d,h],  d = 0 … D

where x_1 is x and a column of ones, and W_b the memory of W with b right behind it. The same holds
of ∂L/∂W[d,h] = Σ_n x[n,d] ∂L/∂z[n,h] and ∂L/∂b[h] = Σ_n ∂L/∂z[n,h].

An activation is computed in its place beside the ones; what a caller gives is copied there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import sympy

from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Access, Pad, access
from bpgen.ir.index import Extent, Index
from bpgen.ir.program import Contract, Map, Part, Program, Reduce, Step, Whole, steps_of
from bpgen.ir.tensor import Role, Tensor
from bpgen.lower.features_first import FEATURES_FIRST
from bpgen.lower.held import blocks
from bpgen.lower.statements import step as lowered

# Weights of up to so many rows and columns gain by a bias as one more row, however examples lie:
# measured beside `features_first.NARROW`.
ROWS_OF_WEIGHTS = 64


def bias_rows(program: Program) -> Program:
    """Return `program` with one product where weights and a bias, narrow both, lie together."""
    if blocks(program):  # of which places are not known before there are so many
        return program
    layers = tuple(_layers(program))
    folds = _Folds(program, {layer.weights: _Fold.of(layer, program) for layer in layers})
    wholes = {w.tensor.name: w for fold in folds.folds.values() for w in fold.wholes}
    return replace(program.changed(folds.parts), wholes=tuple(wholes.values()))


@dataclass(frozen=True, slots=True)
class _Layer:
    """The names of what a product reads and of a bias; features are the axis `axis` of `read`."""

    read: str
    axis: int
    weights: str
    bias: str


def _layers(program: Program) -> Iterator[_Layer]:
    """Yield the layers whose product, and both of whose gradients, may be one product each.

    What reads a gradient may need it before the other is known.
    """
    read = {name for s in steps_of(program.computed) for name in s.equation.reads()}
    beside = {(a.name, b.name) for a, b in pairwise(program.network.parameters)}
    steps = {s.equation.out.name: s for s in program.backward if isinstance(s, Step)}
    for part in program.forward:
        layer = _layer(part, program)
        if layer is not None and (layer.weights, layer.bias) in beside:
            names = map(program.derivation.gradient_of, (layer.weights, layer.bias))
            gradients = [steps[name] for name in names if name in steps and name not in read]
            if len(gradients) == 2 and _are_sums(layer, *gradients):
                yield layer


def _layer(part: Part, program: Program) -> _Layer | None:
    """Return the layer that a step computes, if it is a narrow product and a bias."""
    match part:
        case Step(
            statements=(
                Contract(factors=(Access() as a, Access() as b), over=(index,), scale=sympy.S.One),
                Map(body=Access() as bias),
            ),
            adds=False,
        ):
            entry, weights = (a, b) if _is_parameter(b, program) else (b, a)
        case _:
            return None
    both = _is_parameter(weights, program) and _is_parameter(bias, program)
    fits = both and weights.indices == (index, *bias.indices) and _has_room(entry, index, program)
    sizes = [i.extent.value for i in program.tensors[weights.name].indices]
    if not fits or any(size is None or size > ROWS_OF_WEIGHTS for size in sizes):
        return None
    return _Layer(entry.name, entry.indices.index(index), weights.name, bias.name)


def _is_parameter(entry: Access, program: Program) -> bool:
    return program.tensors[entry.name].role is Role.PARAMETER


def _has_room(entry: Access, index: Index, program: Program) -> bool:
    """Whether ones may lie behind the features of a matrix: a computed one, or a copy of one."""
    tensor, others = program.tensors[entry.name], [at for at in entry.indices if at != index]
    is_row = len(entry.indices) == 2 and len(others) == 1 and isinstance(others[0], Index)
    if not is_row or None not in tensor.shape or tensor.is_integer:
        return False
    return tensor.role is Role.INPUT or program.moves.get(entry.name) == FEATURES_FIRST


def _are_sums(layer: _Layer, of_weights: Step, of_bias: Step) -> bool:
    """Whether two steps compute Σ_n x[n,d] δ[n,h] and Σ_n δ[n,h]."""
    match of_weights.statements, of_bias.statements:
        case (
            (Contract(factors=(Access() as a, Access() as b), over=(n,), scale=sympy.S.One),),
            (Reduce(body=Access() as c, over=(m,), op=Op.SUM),),
        ) if not (of_weights.adds or of_bias.adds):
            return n == m and {a.name, b.name} == {layer.read, c.name} != {c.name}
        case _:
            return False


@dataclass(frozen=True, slots=True)
class _Fold:
    """The tensors of a layer with one entry more: what is read, the weights, their gradient."""

    layer: _Layer
    ones: Tensor
    both: Tensor
    gradient: Tensor
    copied: Step | None
    wholes: tuple[Whole, ...]

    @classmethod
    def of(cls, layer: _Layer, program: Program) -> _Fold:
        """Name the tensors of a layer, and say what lies in each."""
        of, read = program.derivation.gradient_of, program.arrays[layer.read]
        parts = (layer.weights, layer.bias)
        name = _free(f"{layer.read}_1", program)
        ones = Tensor(name, _longer(read.indices, layer.axis), Role.ACTIVATION)
        both = Tensor(
            _free(_together(*parts), program),
            _longer(program.tensors[layer.weights].indices, 0),
            Role.PARAMETER,
        )
        d_both = Tensor(f"d_{both.name}", both.indices, Role.COTANGENT, of=both.name)
        given = read.role is Role.INPUT
        padded = Equation(ones, (Term(Pad(access(layer.read, ones.indices), 1)),))
        wholes = (
            Whole(ones, () if given else (layer.read,)),
            Whole(both, parts),
            Whole(d_both, tuple(map(of, parts))),
        )
        copied = lowered(padded, program.tensors) if given else None
        return cls(layer, ones, both, d_both, copied, wholes)

    def product(self, step: Step) -> Step:
        """Return the step of the layer as one product."""
        contract = step.statements[0]
        assert isinstance(contract, Contract)
        over = _longer(contract.over, 0)
        factors = []
        for factor in contract.factors:
            assert isinstance(factor, Access)
            ones = factor.name == self.layer.read
            name, axis = (self.ones.name, self.layer.axis) if ones else (self.both.name, 0)
            factors.append(access(name, _longer(factor.indices, axis)))
        return replace(step, statements=(replace(contract, factors=tuple(factors), over=over),))

    def gradients(self, of_weights: Step, of_bias: Equation) -> Step:
        """Return the steps of both gradients as one product."""
        contract = of_weights.statements[0]
        assert isinstance(contract, Contract)
        factors = []
        for factor in contract.factors:
            assert isinstance(factor, Access)
            ones = factor.name == self.layer.read
            longer = access(self.ones.name, _longer(factor.indices, self.layer.axis))
            factors.append(longer if ones else factor)
        out = replace(self.gradient, indices=_longer(contract.out.indices, 0))
        statement = replace(contract, out=out, factors=tuple(factors))
        return replace(of_weights, statements=(statement,), also=(of_bias,))


@dataclass(frozen=True, slots=True)
class _Folds:
    """The layers of a program that are folded, by the names of their weights."""

    program: Program
    folds: Mapping[str, _Fold]

    def parts(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """Return the parts of a function, with one step for the two gradients of a layer."""
        of = self.program.derivation.gradient_of
        found = {of(name): fold for name, fold in self.folds.items()}
        gone = {of(fold.layer.bias) for fold in self.folds.values()}
        steps = {p.equation.out.name: p for p in parts if isinstance(p, Step)}
        changed: list[Part] = []
        for part in parts:
            name = part.equation.out.name if isinstance(part, Step) else ""
            layer = _layer(part, self.program)
            if layer and layer in [fold.layer for fold in self.folds.values()]:
                fold = self.folds[layer.weights]
                changed += [fold.copied] if fold.copied and fold.copied not in changed else []
                changed.append(fold.product(steps[name]))
            elif name in found:
                of_bias = steps[of(found[name].layer.bias)].equation
                changed.append(found[name].gradients(steps[name], of_bias))
            elif name not in gone:
                changed.append(part)
        return tuple(changed)


def _longer(indices: tuple[Index, ...], axis: int) -> tuple[Index, ...]:
    """Return indices of which one takes one value more."""
    index = indices[axis]
    extent = Extent(f"{index.extent} + 1", (index.extent.value or 0) + 1)
    return (*indices[:axis], Index(index.name, extent), *indices[axis + 1 :])


def _together(weights: str, bias: str) -> str:
    """Return the name of weights and a bias: `fc1_W_b`; what the names share stands once."""
    stem = weights[: weights.rfind("_") + 1]
    return f"{weights}_{bias.removeprefix(stem)}"


def _free(name: str, program: Program) -> str:
    return _free(f"{name}_", program) if name in program.tensors else name

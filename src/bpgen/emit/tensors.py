"""The tensors of an emitted module: parameters and inputs, how they start, noise, and constants."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bpgen.emit.layout import Memory, span
from bpgen.emit.view import FieldView, TableView
from bpgen.emit.wrap import WIDTH, wrapped_code
from bpgen.ir.program import Program, steps_of
from bpgen.ir.tensor import KEPT, Role, Tensor
from bpgen.lower.lives import DRAW, Moment
from bpgen.spell import FormulaSpeller
from bpgen.targets.numpy.scalar import scalar
from bpgen.targets.numpy.scratch import Scratch


@dataclass(frozen=True, slots=True)
class Tensors:
    """The tensors of one program, as strings."""

    program: Program
    memory: Memory
    speller: FormulaSpeller

    def parameters(self) -> tuple[FieldView, ...]:
        """Return the parameters, each with its slice of the flat vector."""
        return self._stored(self.program.network.parameters, 0)

    def kept(self) -> tuple[FieldView, ...]:
        """Return what lies beside the parameters, each with its slice behind them."""
        return self._stored(self.program.network.kept, self.trained)

    @property
    def trained(self) -> int:
        """Return how many numbers the parameters are."""
        return sum(t.entries for t in self.program.network.parameters)

    @property
    def has_blocks(self) -> bool:
        """Whether parameters are stacked: then one number says how many, and places follow."""
        parameters = self.program.network.parameters
        return any(t.init is not None and t.init.stacked for t in parameters)

    def _stored(self, tensors: Iterable[Tensor], begin: int) -> tuple[FieldView, ...]:
        found = []
        for t, first in _places(tensors, begin):
            place = f'SPANS["{t.name}"]' if self.has_blocks else span(first, t.entries)
            found.append(FieldView(t.name, _shape(t), self.speller.spell(t.canonical), place))
        return tuple(found)

    def joined(self) -> tuple[FieldView, ...]:
        """Return the weights that a bias lies behind, as one array."""
        firsts = {t.name: first for t, first in _places(self.program.network.parameters, 0)}
        return tuple(
            FieldView(t.name, _shape(t), span=span(firsts[whole.parts[0]], t.entries))
            for whole in self.program.wholes
            if (t := whole.tensor).role is Role.PARAMETER
        )

    def tables(self) -> tuple[TableView, ...]:
        """Return the tables, each with its numbers in lines."""
        found = []
        for t in self.program.network.of_role(Role.TABLE):
            numbers = " ".join(f"{value!r}," for value in t.values)
            found.append(TableView(t.name, _shape(t), tuple(textwrap.wrap(numbers, WIDTH - 4))))
        return tuple(found)

    def inputs(self) -> tuple[FieldView, ...]:
        """Return what is given for each batch, with how it is checked and made up."""
        return tuple(self._input(t) for t in self.program.network.inputs)

    def predicted(self) -> frozenset[str]:
        """Return the names of the tensors that prediction reads."""
        steps = steps_of(self.program.predict or self.program.forward)
        return frozenset(name for s in steps for name in s.equation.reads())

    def _input(self, t: Tensor) -> FieldView:
        row = [i.extent.name for i in t.indices[1:]]
        shape, free = as_tuple(row), as_tuple(["N", *row]) if row else "N"
        if t.is_integer:
            check = f'{t.name} = whole("{t.name}", {t.name}, {shape}, {t.below})'
            example = f"rng.integers({t.below}, size={free})"
            return FieldView(t.name, shape, below=str(t.below), check=check, example=example)
        check = f'{t.name} = real("{t.name}", {t.name}, {shape}, dtype)'
        law = "standard_normal" if t.name in self.predicted() else "random"
        return FieldView(t.name, shape, below="None", check=check, example=f"rng.{law}({free})")

    def init(self) -> tuple[str, ...]:
        """Return the lines that draw the first parameters into `p`, trained or not, in order."""
        lines: list[str] = []
        net = self.program.network
        for t in net.of_role(Role.PARAMETER, *KEPT):
            assert t.init is not None
            scale, shape = scalar(t.init.scale), _shape(t)
            match t.init.law:
                case "constant":
                    lines += [] if t.init.scale == 0 else [f"p.{t.name}[...] = {scale}"]
                case "normal":
                    lines.append(f"p.{t.name}[...] = rng.normal(0, {scale}, {shape})")
                case "uniform":
                    lines.append(f"p.{t.name}[...] = rng.uniform(-{scale}, {scale}, {shape})")
                case "orthogonal":
                    lines += self._orthogonal(t, scale)
        return tuple(line for code in lines for line in wrapped_code(code))

    def _orthogonal(self, t: Tensor, scale: str) -> list[str]:
        """Return the lines that draw an orthogonal matrix, or one for each of several blocks."""
        assert t.init is not None
        own = [i.extent.name for i in t.indices[t.init.stacked :]]
        matrix = f"orthogonal(rng, {as_tuple(own)}, {scale})"
        if not t.init.stacked:
            return [f"p.{t.name}[...] = {matrix}"]
        every = f".reshape(-1, {', '.join(own)})" if t.init.stacked > 1 else ""
        return [f"for block in p.{t.name}{every}:", f"    block[...] = {matrix}"]

    def noise(self, scratch: Scratch) -> tuple[str, ...]:
        """Return the lines that draw the noise of one step, by way of float64 in `scratch`.

        Both precisions draw the same numbers.
        """
        scratch.step = Moment(DRAW, 0)
        return tuple(
            wrapped
            for t in self.program.network.of_role(Role.NOISE)
            for line in self._noise(t, scratch)
            for wrapped in wrapped_code(line)
        )

    def _noise(self, t: Tensor, scratch: Scratch) -> list[str]:
        assert t.noise is not None
        at = self.memory.names[t.name]
        counter = f"np.random.Philox(key=[seed, {t.stream}], counter=[0, 0, 0, step])"
        register = scratch.take(t.indices, "double")
        scratch.free(register)
        drawn = scratch.text(register)
        law = "standard_normal" if t.noise.law == "normal" else "random"
        lines = [f"rng = np.random.Generator({counter})", *_in_parts(t, f"rng.{law}", drawn)]
        lines.append("for a in parts:")
        if t.noise.law == "bernoulli":
            mask = scratch.take(t.indices, "bool")
            scratch.free(mask)
            lines.append(f"    np.less({drawn}, {t.noise.rate!r}, out={scratch.text(mask)})")
            drawn = scratch.text(mask)
        return [*lines, f"    np.copyto({at}, {drawn})"]


def _in_parts(t: Tensor, draw: str, drawn: str) -> list[str]:
    """Return the lines that fill `drawn` of every part from one stream, in the order of the whole.

    What lies before the axis of the batch is filled entry by entry, and what has no such axis is
    the same for every part.
    """
    free = [k for k, i in enumerate(t.indices) if i.extent.value is None]
    if not free:
        first = drawn.replace("a.", "parts[0].", 1)
        return [f"{draw}(out={first})", "for a in parts:", f"    np.copyto({drawn}, {first})"]
    outer = t.indices[: free[0]]
    heads = [f"{'    ' * k}for {i.name} in range({i.extent.name}):" for k, i in enumerate(outer)]
    at = f"[{', '.join(i.name for i in outer)}]" if outer else ""
    margin = "    " * len(outer)
    return [*heads, f"{margin}for a in parts:", f"{margin}    {draw}(out={drawn}{at})"]


def as_tuple(items: Iterable[str]) -> str:
    """Return items as the text of a tuple."""
    found = list(items)
    return f"({found[0]},)" if len(found) == 1 else f"({', '.join(found)})"


def _places(tensors: Iterable[Tensor], begin: int) -> Iterator[tuple[Tensor, int]]:
    """Yield tensors that lie one behind the other, each with the place of its first number."""
    for t in tensors:
        yield t, begin
        begin += t.entries


def _shape(tensor: Tensor) -> str:
    return as_tuple(i.extent.name for i in tensor.indices)

"""The statements of a step as rows of a table, each with its cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bpgen.cost import FLOAT, NUMPY, Rates, Sizes, Work, work
from bpgen.emit.functions import formulas
from bpgen.ir.index import Index
from bpgen.ir.program import Blocks, Part, Program, RowBlocks, Step, Turns, steps_of
from bpgen.ir.tensor import Tensor
from bpgen.spell import FormulaSpeller, derivatives_of, order_of


@dataclass(frozen=True, slots=True)
class Row:
    """One statement: what it computes in which function, and its cost in all its turns.

    `parameters` are those that no row before has read; `saved` are the bytes of a result that the
    gradient reads again.
    """

    function: str
    formula: str
    name: str
    shape: tuple[int, ...]
    turns: int
    parameters: int
    multiply_adds: int
    bytes: int
    saved: int
    seconds: float

    @property
    def place(self) -> tuple[str, str]:
        """Return what the emitted module calls it in a profile."""
        return self.function, self.formula


def rows(program: Program, batch: int, rates: Rates = NUMPY) -> tuple[Row, ...]:
    """Return the cost of every statement of a step, in the order of `program`.

    That is the order of the numpy module if the program is as it lies in memory. A chain in blocks
    of rows counts as if it were whole.
    """
    return tuple(_Rows(program, batch, rates).all())


class _Rows:
    """Walk the parts of a program; what has been seen of the parameters is kept on the way."""

    def __init__(self, program: Program, batch: int, rates: Rates) -> None:
        network = program.network
        self._program, self._rates = program, rates
        self._sizes = Sizes.of(program, batch)
        self._speller = FormulaSpeller(
            order_of(program.tensors.values()), derivatives_of(program.tensors.values())
        )
        self._unread = {t.name: t.entries for t in network.parameters}
        backward = steps_of(program.backward)
        self._saved = {name for s in backward for e in s.equations for name in e.reads()}
        self._saved -= {s.equation.out.name for s in backward}
        self._seen = {t.name for t in (*network.parameters, *network.inputs)}

    def all(self) -> Iterator[Row]:
        """Yield the rows of every function of a step."""
        program = self._program
        functions = {
            "forward": program.forward,
            "add_loss": program.loss,
            "advance": program.advance,
            "backward": program.backward,
            "update": program.update,
        }
        for name, parts in functions.items():
            for part in parts:
                yield from self._part(name, part, ())

    def _part(self, function: str, part: Part, around: tuple[Index, ...]) -> Iterator[Row]:
        if isinstance(part, Step):
            yield self._row(function, part, around)
            return
        within = (*around, part.index) if isinstance(part, Turns) else around
        assert isinstance(part, Turns | Blocks | RowBlocks), f"no row tells of {part}"
        for inner in part.parts:
            yield from self._part(function, inner, within)

    def _row(self, function: str, step: Step, around: tuple[Index, ...]) -> Row:
        sizes = self._sizes.inside(around)
        turns = self._sizes.entries(around)
        cost = sum((work(s, sizes) for s in step.statements), Work())
        equation = step.equation
        return Row(
            function=function,
            formula=" ".join(formulas(self._speller, function, step)),
            name=equation.out.name,
            shape=tuple(self._sizes.extent(i.extent) for i in equation.out.indices),
            turns=turns,
            parameters=sum(self._unread.pop(n, 0) for e in step.equations for n in e.reads()),
            multiply_adds=turns * cost.multiply_adds,
            bytes=turns * cost.bytes,
            saved=self._kept(function, equation.out),
            seconds=turns * cost.seconds(self._rates),
        )

    def _kept(self, function: str, out: Tensor) -> int:
        """Return the bytes of a result of the forward pass that the gradient reads, once."""
        if function not in {"forward", "add_loss"} or out.name not in self._saved - self._seen:
            return 0
        self._seen.add(out.name)
        return FLOAT * self._sizes.entries(out.indices)

"""Matrices that a loop would read by their columns, in every turn, are laid out before it.

    transposed_U[m,k] = U[k,m]
    for t in reversed(range(T)):
        ∂L/∂h[n,t,k] = Σ_m transposed_U[m,k] ∂L/∂z[n,t,m]

A product wants the matrix on its right with the summed index first. BLAS brings it there in each
call; a copy does once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from sympy import Expr

from bpgen.cost import NUMPY
from bpgen.ir.equation import Equation, Term
from bpgen.ir.expr import Access, indices_of
from bpgen.ir.index import Index
from bpgen.ir.program import Contract, Part, Program, Statement, Step, Turns, steps_of
from bpgen.ir.tensor import GIVEN, Role, Tensor
from bpgen.lower.statements import step

Around = tuple[Index, ...]


def transposed(program: Program) -> Program:
    """Return `program` with copies of the matrices that its loops read by columns, if that pays."""
    copies = _Copies(program.tensors)
    changed = program.changed(lambda parts: tuple(copies.before_loops(parts, ())))
    return replace(changed, made={**program.made, **copies.made})


@dataclass(frozen=True, slots=True)
class _Copies:
    """The copies that have been made of tensors, by their own names."""

    tensors: Mapping[str, Tensor]
    made: dict[str, Tensor] = field(default_factory=dict)

    def before_loops(self, parts: Iterable[Part], around: Around) -> Iterator[Part]:
        """Yield `parts`, in front of each loop the copies that it reads."""
        for part in parts:
            if not isinstance(part, Turns):
                yield part
                continue
            read: dict[Expr, Expr] = {}
            for entry in dict.fromkeys(self._by_columns(part, around)):
                copy = self._copy(entry)
                yield step(Equation(copy, (Term(entry),)), self.tensors, around)
                read[entry] = copy.canonical
            within = (*around, part.index)
            inside = (self._reading(p, read, within) for p in part.parts)
            yield replace(part, parts=tuple(self.before_loops(inside, within)))

    def _by_columns(self, loop: Turns, around: Around) -> Iterator[Access]:
        """Yield the entries of given matrices that every turn reads by columns, if copies pay."""
        if not _is_transposed_once(loop.index.extent.value):
            return
        for statement in (s for one in steps_of(loop.parts) for s in one.statements):
            for entry in _by_columns(statement):
                is_given = self.tensors[entry.name].role in GIVEN
                if is_given and {*entry.indices[:-2]} <= {*around}:
                    yield entry

    def _copy(self, entry: Access) -> Tensor:
        """Return the tensor that holds the matrix of `entry` transposed."""
        *stack, row, column = (i for i in entry.indices if isinstance(i, Index))
        name = f"transposed_{entry.name}"
        copy = Tensor(name, (*stack, column, row), Role.ACTIVATION)
        while name in self.tensors or self.made.get(name, copy) != copy:
            name += "_"
            copy = replace(copy, name=name)
        self.made[name] = copy
        return copy

    def _reading(self, part: Part, read: Mapping[Expr, Expr], around: Around) -> Part:
        """Return `part` with copies read instead of entries."""
        match part:
            case Turns():
                within = (*around, part.index)
                return replace(
                    part, parts=tuple(self._reading(p, read, within) for p in part.parts)
                )
            case Step() if read.keys() & {*part.equation.accesses()}:
                terms = tuple(term.replaced(read) for term in part.equation.terms)
                now = replace(part.equation, terms=terms)
                return step(now, self.tensors, around, adds=part.adds)
            case _:
                return part


def _by_columns(statement: Statement) -> Iterator[Access]:
    """Yield the factor on the right of a product if its last index is the one that is summed."""
    if isinstance(statement, Contract) and len(statement.factors) == len(statement.over) + 1 == 2:
        for entry, other in (statement.factors, statement.factors[::-1]):
            own = statement.out.indices[-1:]
            last = entry.indices[-2:] if isinstance(entry, Access) else ()
            if last == own + statement.over and not {*own} & indices_of(other):
                yield entry


def _is_transposed_once(turns: int | None) -> bool:
    """Whether one copy of a matrix costs less than `turns` products that read it by columns."""
    return turns is None or turns * NUMPY.entries["by columns"] > NUMPY.entries["transpose"]

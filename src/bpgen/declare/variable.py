"""What a user holds while declaring: a tensor that knows the equation it comes from.

A variable has no final name yet. `bp.Model` walks back from the loss, collects what it reaches in
the order it was created, and names it: an explicit name stays, a variable bound in the model file
takes that name, and the rest are numbered (`z1`, `relu1`). Nothing is registered anywhere.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import sympy
from sympy import Expr

from bpgen.errors import IndexUseError
from bpgen.ir.equation import Equation
from bpgen.ir.expr import Access
from bpgen.ir.index import Index
from bpgen.ir.source import SourceLine
from bpgen.ir.tensor import Tensor

_PACKAGE = Path(__file__).resolve().parents[1]
_serials = itertools.count()


@dataclass(frozen=True, slots=True)
class Auto:
    """A name that bpgen completes: `z` becomes `z1`, `z2`, …; with `always` false only if repeated.

    `{}` in the stem stands for the final name of one of the tensors in `of`: `{}_at_{}`.
    """

    stem: str
    always: bool = True
    of: tuple[Variable, ...] = ()

    @property
    def plain(self) -> str:
        """Return the stem as an error message can show it now."""
        return self.stem.format(*(v.label for v in self.of))


Name = str | Auto


class Head(sympy.Symbol):
    """The symbol of a variable that has no final name yet; it is unique, and knows the variable."""

    variable: Variable

    def __new__(cls, name: str, variable: Variable) -> Head:
        """Return the symbol of `variable`."""
        head: Head = sympy.Symbol.__xnew__(cls, name, real=True)
        head.variable = variable
        return head


class Variable:
    """A tensor under declaration: `x[n,d]` reads an entry, `+ - * /` and slices make tensors."""

    def __init__(
        self,
        name: Name,
        tensor: Tensor,
        equation: Equation | None = None,
        beside: tuple[Variable, ...] = (),
    ) -> None:
        """Hold `tensor`, whose name is provisional, and the equation that defines it, if any.

        `beside` are tensors that the equation does not read but its gradient is well written with.
        """
        self.wanted = name
        self.tensor = tensor
        self.equation = equation
        self.update: Equation | None = None  # of a state: its next value
        self.beside = beside
        self.lifted: Variable | None = None  # of a tensor in a repeated block: those of all blocks
        self.serial = int(tensor.name.rpartition("·")[2])
        self.head = Head(tensor.name, self)

    @property
    def indices(self) -> tuple[Index, ...]:
        """Return the indices of the tensor: `n, d = x.indices`."""
        return self.tensor.indices

    @property
    def label(self) -> str:
        """Return the name as an error message can show it now."""
        return self.wanted if isinstance(self.wanted, str) else self.wanted.plain

    def parents(self) -> tuple[Variable, ...]:
        """Return the variables that the equation reads, in `predict` too, and those beside it."""
        if self.equation is None:
            return self.beside
        terms = self.equation.terms + (self.equation.predict or ())
        heads = [head for t in terms for head in t.body.atoms(Head)]
        return tuple(sorted({h.variable for h in heads} | {*self.beside}, key=lambda v: v.serial))

    def __getitem__(self, indices: Any) -> Any:
        """Return the entry at `indices`, each an index, an affine formula, a number or an entry.

        With a slice among them, `x[:, 2:5]`, return the tensor that numpy would.
        """
        # Slices live in `declare.slicing`; it is imported late because it builds variables.
        from bpgen.declare.slicing import is_slice, sliced

        if is_slice(indices):
            return sliced(self, indices)
        given = tuple(
            sympy.sympify(i) for i in (indices if isinstance(indices, tuple) else (indices,))
        )
        if len(given) != len(self.indices):
            raise IndexUseError(
                f"`{self.label}` is read with {len(given)} indices",
                where=here(),
                disagree=f"{self.label}[{_list(self.indices)}] has {len(self.indices)}; "
                f"{self.label}[{_list(given)}] gives {len(given)}",
                way_out=f"Write {self.label}[{_list(self.indices)}].",
            )
        for axis, at in zip(self.indices, given, strict=True):
            self._check_number(axis, at)
        return Access(self.head, *given)

    def _check_number(self, axis: Index, at: Expr) -> None:
        own = axis.extent.value
        if isinstance(at, sympy.Integer) and own is not None and not 0 <= int(at) < own:
            raise IndexUseError(
                f"entry {at} lies outside axis `{axis}` of `{self.label}`",
                where=here(),
                disagree=f"{axis.extent} = {own}; the entries are 0 … {own - 1}",
                way_out="Count from 0.",
            )

    # Arithmetic lives in `declare.arithmetic`; it is imported late because it builds variables.
    def __add__(self, other: Any) -> Variable:
        return _elementwise("sum", lambda a, b: a + b, self, other)

    def __radd__(self, other: Any) -> Variable:
        return _elementwise("sum", lambda a, b: a + b, other, self)

    def __sub__(self, other: Any) -> Variable:
        return _elementwise("difference", lambda a, b: a - b, self, other)

    def __rsub__(self, other: Any) -> Variable:
        return _elementwise("difference", lambda a, b: a - b, other, self)

    def __mul__(self, other: Any) -> Variable:
        return _elementwise("product", lambda a, b: a * b, self, other)

    def __rmul__(self, other: Any) -> Variable:
        return _elementwise("product", lambda a, b: a * b, other, self)

    def __truediv__(self, other: Any) -> Variable:
        return _elementwise("quotient", lambda a, b: a / b, self, other)

    def __rtruediv__(self, other: Any) -> Variable:
        return _elementwise("quotient", lambda a, b: a / b, other, self)

    def __pow__(self, exponent: Any) -> Variable:
        return _elementwise("power", lambda a, b: a**b, self, exponent)

    def __neg__(self) -> Variable:
        return _elementwise("product", lambda a, b: a * b, -1, self)

    def __repr__(self) -> str:
        return f"{self.label}[{_list(self.indices)}]"


def check_once(name: str, indices: tuple[Index, ...]) -> None:
    """Refuse a tensor whose axes have one index twice: its entries would be those of a diagonal.

    Errors: IndexUseError.
    """
    if len(set(indices)) != len(indices):
        raise IndexUseError(
            f"`{name}` has one index on two axes",
            where=here(),
            disagree=f"it is declared as {name}[{','.join(map(str, indices))}]",
            rule="Each axis has an index of its own, also where two extents are equal.",
            way_out="Take another index of the same extent for one of them.",
        )


def provisional(stem: str) -> str:
    """Return a name that no other tensor has: `z·17`, until the model gives the final one."""
    return f"{stem}·{next(_serials)}"


def here() -> SourceLine | None:
    """Return the line of the user's file being executed, the innermost one outside bpgen."""
    frame = sys._getframe(1)  # noqa: SLF001  the one way to know who called
    while frame is not None:
        if not _is_machinery(frame.f_code.co_filename):
            return SourceLine(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back  # type: ignore[assignment]  # the outermost frame has none
    return None


@lru_cache(maxsize=1024)
def _is_machinery(file: str) -> bool:
    """Whether `file` is part of bpgen or of sympy; the models of the zoo are a user's files."""
    path = Path(file)
    inside = _PACKAGE in path.parents and path.parent.name != "zoo"
    return inside or "sympy" in path.parts


def _elementwise(stem: str, combine: Any, left: Any, right: Any) -> Variable:
    from bpgen.declare.arithmetic import elementwise

    return elementwise(stem, combine, left, right)


def _list(indices: Iterable[object]) -> str:
    return ",".join(map(str, indices))


def reachable(roots: Sequence[Variable]) -> tuple[Variable, ...]:
    """Return `roots` and everything they are computed from, in the order of creation."""
    seen: dict[int, Variable] = {}
    stack = list(roots)
    while stack:
        variable = stack.pop()
        if variable.serial not in seen:
            seen[variable.serial] = variable
            stack.extend(variable.parents())
    return tuple(seen[serial] for serial in sorted(seen))


__all__ = ["Auto", "Name", "Variable", "here", "provisional", "reachable"]

"""Arithmetic between tensors, with numpy's broadcasting: `h + linear(h, 32)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy
from sympy import Expr

from bpgen.declare.define import define
from bpgen.declare.variable import Auto, Variable, here
from bpgen.errors import FormulaError, ShapeError
from bpgen.ir.index import Index


def elementwise(stem: str, combine: Callable[[Any, Any], Any], left: Any, right: Any) -> Variable:
    """Return `combine(left, right)`, entry by entry; axes are matched from the last one.

    Errors: ShapeError if two matched extents differ and neither is 1.
    """
    operands = [o for o in (left, right) if isinstance(o, Variable)]
    indices = _common(operands)
    formula = combine(*(_read(o, indices) for o in (left, right)))
    return define(Auto(stem), indices, formula)


def _common(operands: list[Variable]) -> tuple[Index, ...]:
    longest = max(operands, key=lambda o: len(o.indices))
    axes: list[Index] = []
    for back in range(1, len(longest.indices) + 1):
        here_all = [o.indices[-back] for o in operands if len(o.indices) >= back]
        wide = [i for i in here_all if i.extent.value != 1] or here_all[:1]
        if len({i.extent.value for i in wide}) > 1:
            _refuse(operands, wide)
        axes.append(wide[0])
    return tuple(reversed(axes))


def _refuse(operands: list[Variable], axes: list[Index]) -> None:
    a, b = operands
    sizes = " and ".join(f"{i.extent} = {i.extent.value or 'batch'}" for i in axes)
    raise ShapeError(
        f"`{a.label}` and `{b.label}` cannot be combined entry by entry",
        where=here(),
        disagree=f"{a!r} and {b!r}: {sizes}",
        rule="Axes are matched from the last one; two extents must be equal, or one of them 1.",
        way_out="Bring one of them to the other's size, for instance by a linear layer.",
    )


def _read(operand: Any, indices: tuple[Index, ...]) -> Expr:
    if not isinstance(operand, Variable):
        try:
            return sympy.sympify(operand)
        except sympy.SympifyError:
            raise FormulaError(
                f"a tensor cannot be combined with {type(operand).__name__}",
                where=here(),
                way_out="Combine tensors with tensors and numbers.",
            ) from None
    if not operand.indices:
        return operand[()]
    own = indices[-len(operand.indices) :]
    at = [
        sympy.S.Zero if axis.extent.value == 1 and i.extent.value != 1 else i
        for axis, i in zip(operand.indices, own, strict=True)
    ]
    return operand[tuple(at)]

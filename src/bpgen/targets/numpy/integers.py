"""Which formulas are whole numbers: indices, addresses, and sums and products of them."""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from bpgen.ir.expr import Access, Digit
from bpgen.ir.index import Extent, Index
from bpgen.ir.tensor import Tensor


def is_integer(expr: sympy.Basic, tensors: Mapping[str, Tensor]) -> bool:
    """Whether `expr` is made of indices, extents and entries of integer tensors alone."""
    match expr:
        case Access():
            return expr.name in tensors and tensors[expr.name].is_integer
        case sympy.Integer() | Index() | Digit() | Extent():
            return True
        case sympy.Add() | sympy.Mul():
            return all(is_integer(arg, tensors) for arg in expr.args)
        case _:
            return False

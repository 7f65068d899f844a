"""Which formulas are whole numbers: indices, addresses, and sums and products of them; classes."""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from bpgen.ir.expr import Access, Digit, indices_of
from bpgen.ir.index import Extent, Index
from bpgen.ir.tensor import Tensor

# The most rows of a matrix of ones and zeros: 256 kB of float32. Measured: to take a row for each
# example costs a fifth to a tenth of a comparison of each with every class.
CLASSES = 256


def is_class(at: Access, index: sympy.Basic, tensors: Mapping[str, Tensor]) -> bool:
    """Whether an entry is one of few values, and `index` has as many."""
    if not isinstance(index, Index) or at.name not in tensors or index in indices_of(at):
        return False
    values = index.extent.value
    is_plain = all(isinstance(i, Index) for i in at.indices)
    return is_plain and values is not None and tensors[at.name].below == values <= CLASSES


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

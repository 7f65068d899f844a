"""The language: everything a model file, or a layer of the catalog, is written with.

In: formulas over entries of tensors. Out: an `ir.Network`. True at the door: every tensor is
defined once, every index stands on the left or is summed, extents agree, the loss is a scalar.

The catalog (`layers`, `activations`, `losses`, `optimizers`) is written with these names and no
others, as a user's own layer is: `from bpgen import declare as bp`.
"""

from typing import Any

from bpgen import init
from bpgen.declare.activation import activation
from bpgen.declare.define import define, hold
from bpgen.declare.formula import mean, pad, reduction, where
from bpgen.declare.given import BATCH, fresh_index, index, input, label, noise, parameter  # noqa: A004  the contract's name
from bpgen.declare.option import option
from bpgen.declare.recurrence import Recurrence, recurrence
from bpgen.declare.repeat import repeat
from bpgen.declare.state import state, update
from bpgen.declare.table import table
from bpgen.declare.variable import Auto, Variable, here, reachable
from bpgen.ir.expr import Delta, Digit, Max, Sum
from bpgen.ir.index import Index, size
from bpgen.ir.tensor import Role

Tensor = Variable
Formula = Any  # a sympy expression of entries; sympy is not annotated


def sum(formula: Any, over: Any) -> Any:  # noqa: A001  the contract's name
    """Return Σ_over formula, over one index or several."""
    return reduction(Sum, formula, over)


def max(formula: Any, over: Any) -> Any:  # noqa: A001  the contract's name
    """Return the largest value of `formula` over one index or several; a tie goes to the first."""
    return reduction(Max, formula, over)


__all__ = [
    "BATCH",
    "Auto",
    "Delta",
    "Digit",
    "Formula",
    "Index",
    "Recurrence",
    "Role",
    "Tensor",
    "activation",
    "define",
    "fresh_index",
    "here",
    "hold",
    "index",
    "init",
    "input",
    "label",
    "max",
    "mean",
    "noise",
    "option",
    "pad",
    "parameter",
    "reachable",
    "recurrence",
    "repeat",
    "size",
    "state",
    "sum",
    "table",
    "update",
    "where",
]

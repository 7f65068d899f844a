"""What a network costs, equation by equation: shapes, parameters, multiply-adds, bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import sympy

from bpgen.ir.derivation import Derivation
from bpgen.ir.equation import Equation
from bpgen.ir.expr import Access
from bpgen.ir.index import Index
from bpgen.ir.tensor import Tensor
from bpgen.spell import FormulaSpeller, order_of

if TYPE_CHECKING:
    from rich.table import Table

    from bpgen.model import Model

FLOAT = 4  # bytes
BATCH = 64  # examples of a step


@dataclass(frozen=True, slots=True)
class Row:
    """The cost of one equation for one example.

    `multiply_adds` are m·n·p for a product of matrices, 0 for a map; `parameters` those that no row
    before has read; `saved` says that the gradient reads the result again.
    """

    name: str
    shape: str
    formula: str
    parameters: int
    multiply_adds: int
    bytes: int
    saved: bool


def rows(derivation: Derivation) -> Iterator[Row]:
    """Yield the cost of each forward equation, in order."""
    network = derivation.source
    speller = FormulaSpeller(order_of(network.tensors.values()))
    saved = {name for equation in derivation.backward for name in equation.reads()}
    unread = {t.name: _entries(t.indices) for t in network.parameters}
    for equation in network.equations:
        out = equation.out
        yield Row(
            out.name,
            _shape(out),
            speller.equation(equation),
            sum(unread.pop(name, 0) for name in equation.reads()),
            sum(_multiply_adds(equation)),
            _entries(out.indices) * FLOAT,
            out.name in saved,
        )


def table(model: Model) -> Table:
    """Return the costs as a table, with their sums in the last line, and what a step holds."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    costs, workspace = list(rows(model.derive().derivation)), model.workspace()
    saved = sum(row.bytes for row in costs if row.saved)
    totals = {
        "parameters": sum(row.parameters for row in costs),
        "multiply-adds": sum(row.multiply_adds for row in costs),
        "bytes": sum(row.bytes for row in costs),
    }
    result = Table(
        box=SIMPLE_HEAD,
        show_footer=True,
        caption=f"Per example, in float32. {saved:,} bytes are saved for the gradient.\n"
        f"A step with {BATCH} examples takes {workspace.bytes(BATCH):,} bytes of workspace; "
        f"{workspace.bound(BATCH):,} are needed at once, "
        f"and each buffer apart would take {workspace.unshared(BATCH):,}.",
        caption_justify="left",
    )
    result.add_column("tensor", no_wrap=True)
    result.add_column("shape", no_wrap=True)
    result.add_column("formula", overflow="fold")
    for title, total in totals.items():
        result.add_column(title, f"{total:,}", justify="right", no_wrap=True)
    result.add_column("saved", justify="center", no_wrap=True)
    for row in costs:
        counts = [f"{n:,}" if n else "" for n in (row.parameters, row.multiply_adds, row.bytes)]
        result.add_row(row.name, row.shape, row.formula, *counts, "✓" if row.saved else "")
    return result


def _multiply_adds(equation: Equation) -> Iterator[int]:
    for term in equation.terms:
        factors = [f for f in sympy.Mul.make_args(term.body) if f.has(Access)]
        if term.over and len(factors) > 1:
            yield _entries((*equation.out.indices, *term.over))


def _entries(indices: Iterable[Index]) -> int:
    """Return the number of entries over `indices`, of one example."""
    return prod(index.extent.value or 1 for index in indices)


def _shape(tensor: Tensor) -> str:
    return f"({', '.join(str(size or 'N') for size in tensor.shape)})"

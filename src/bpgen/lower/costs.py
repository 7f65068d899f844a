"""What operations on float32 arrays cost, in nanoseconds: measured once, kept as numbers.

The figures are of one core (AVX-512, OpenBLAS, arrays that stay in the second-level cache). Their
ratios decide between two ways to compute the same; the clock of the day decides nothing.
"""

from __future__ import annotations

BATCH = 64  # examples, where a choice needs their number
MULTIPLY_ADD = 0.019  # of a product of large matrices
COPY = 0.10  # an entry of windows, copied by runs
ADD = 0.28  # an entry of windows, added in place by runs
TRANSPOSE = 1.0  # an entry of a matrix, copied into the transposed one
BY_COLUMNS = 0.25  # an entry of a matrix that a product reads by its columns, besides the product

# A product with so few rows or terms of a sum takes twice as long as its multiply-adds.
FEW_ROWS = 4
FEW_TERMS = 4


def product(rows: float, terms: float, columns: float) -> float:
    """Return the cost of a product of matrices, rows × terms by terms × columns, many columns."""
    return MULTIPLY_ADD * (rows + FEW_ROWS) * (terms + FEW_TERMS) * columns


def of_gathered(rows: float, terms: float, columns: float) -> float:
    """Return the cost of a product with a matrix that is copied out of windows first."""
    return product(rows, terms, columns) + COPY * terms * columns


def of_folded(rows: float, terms: float, columns: float) -> float:
    """Return the cost of a product whose rows are laid over each other, window by window."""
    return product(rows, terms, columns) + ADD * rows * columns


def is_transposed_once(turns: int | None) -> bool:
    """Whether one copy of a matrix costs less than `turns` products that read it by columns."""
    return turns is None or turns * BY_COLUMNS > TRANSPOSE

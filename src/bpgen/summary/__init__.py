"""What a step costs, as tables: statement by statement, foretold from the formulas.

In: `ir.Program`, the rows of a batch, `Rates` of a machine. Out: a `Row` for each statement, with
multiply-adds, bytes and seconds by the model of `cost`. What counts is the share of a step; on
another machine all rates change, and shares less. For a GPU there are no seconds: `kernels` are the
launches with what they move, `memory` what is allocated, of which launches share a `workspace`.
Nothing is run.
"""

from bpgen.summary.kernels import kernels, memory, workspace
from bpgen.summary.rows import Row, rows
from bpgen.summary.tables import as_json, compared, device_as_json, device_table, table

__all__ = [
    "Row",
    "as_json",
    "compared",
    "device_as_json",
    "device_table",
    "kernels",
    "memory",
    "rows",
    "table",
    "workspace",
]

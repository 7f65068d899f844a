"""What a step costs, statement by statement, foretold from the formulas: nothing is run.

In: `ir.Program`, the rows of a batch, `Rates` of a machine. Out: for each statement its
multiply-adds, the bytes that its calls read and write, the calls, and seconds by

    seconds = calls · overhead + Σ over products and elementwise passes of the slower of
              (operations / rate) and (bytes / bandwidth)

Rates are data of the repository, measured once: the same program gives the same table everywhere.
What counts is the share of a step; on another machine all rates change, and shares less. For a GPU
there are no seconds: `kernels` are the launches with what they move, `memory` what is allocated, of
which launches share a `workspace`.
"""

from bpgen.cost.device import kernels, memory, workspace
from bpgen.cost.rates import NUMPY, Rates
from bpgen.cost.rows import Row, rows

__all__ = ["NUMPY", "Rates", "Row", "kernels", "memory", "rows", "workspace"]

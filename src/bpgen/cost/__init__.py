"""What a step costs, statement by statement, foretold from the formulas: nothing is run.

In: `ir.Program`, the rows of a batch, `Rates` of a machine. Out: for each statement its
multiply-adds, the bytes that its calls read and write, the calls, and seconds by

    seconds = calls · overhead + Σ over products and elementwise passes of the slower of
              (operations / rate) and (bytes / bandwidth)

Rates are data of the repository, measured once: the same program gives the same table everywhere.
What counts is the share of a step; on another machine all rates change, and shares less.
"""

from bpgen.cost.rates import NUMPY, Rates
from bpgen.cost.rows import Row, rows
from bpgen.cost.work import Sizes, Work, work

__all__ = ["NUMPY", "Rates", "Row", "Sizes", "Work", "rows", "work"]

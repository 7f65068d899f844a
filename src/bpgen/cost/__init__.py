"""What computing takes: the one model by which lowering chooses and `summary` foretells.

In: a statement, and how many values its indices take. Out: its `Work`, products of matrices and
passes over arrays, and its seconds by `Rates` of a machine:

    seconds = calls · overhead + Σ over products and elementwise passes of the slower of
              (operations / rate) and (bytes / bandwidth)

Rates are data of the repository, measured once: the same program gives the same choices and the
same table everywhere; the clock of the day decides nothing.
"""

from bpgen.cost.rates import NUMPY, Rates
from bpgen.cost.work import BATCH, FLOAT, Sizes, Work, seconds, work

__all__ = ["BATCH", "FLOAT", "NUMPY", "Rates", "Sizes", "Work", "seconds", "work"]

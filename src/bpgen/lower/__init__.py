"""Lowering: from equations to statements over buffers.

In: `ir.Derivation` and `ir.Optimizer`. Out: `ir.Program`. True at the door: every buffer is written
before it is read, the first statement of an equation assigns and the others add, nothing is
computed that no gradient, output or loss needs. Products of three and more factors are taken two at
a time, in the order of fewest multiply-adds (`products`).

`in_memory` says how numpy holds a program: matrices that a loop reads by columns are copied before
it (`transposed`), gradients of stacked parameters move into their loop and buffers lose its axis
(`turns`, `axes`), input gradients of windows are folded (`folds`), what is computed in turns lies
turn by turn (`turns_first`), and the batch comes last where windows move (`batch_last`) and where
features are few (`features_first`); there a bias is one more row of the weights (`bias_rows`).
Chains of maps on more data than a cache holds run in blocks of rows (`row_blocks`, `by_rows`).
`workspace` gives buffers addresses by their `lives`; `again` computes some a second time to save
memory, and `savings` says which; `share` says whether examples may be divided among threads, and
`meetings` what each of them does. What a choice costs, `cost` says.
"""

from bpgen.lower.memory import in_memory, on_device
from bpgen.lower.program import lower

__all__ = ["in_memory", "lower", "on_device"]

"""Lowering: from equations to statements over buffers.

In: `ir.Derivation` and `ir.Optimizer`. Out: `ir.Program`. True at the door: every buffer is written
before it is read, the first statement of an equation assigns and the others add, nothing is
computed that no gradient, output or loss needs.
"""

from bpgen.lower.memory import in_memory
from bpgen.lower.program import lower

__all__ = ["in_memory", "lower"]

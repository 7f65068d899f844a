"""Derivation: from a network of forward equations to the equations of every cotangent.

In: `ir.Network`. Out: `ir.Derivation`. True at the door: one adjoint for each tensor between the
parameters and the loss; no cotangent is read before it is complete; the result is a network again.

`partial` differentiates one scalar formula (sympy), `sift` does the index calculus (ours), `reuse`
writes saved values, `merge` adds up, `chain_rule` walks. `tangent` goes forward through a network;
through a derivation, that gives products with the Hessian. Rejected: sympy's `Sum.diff`, which
captures bound indices, and any `simplify`, which undoes stable forms.
"""

from bpgen.derive.chain_rule import derive
from bpgen.derive.gauss_newton import gauss_newton, second_order
from bpgen.derive.tangent import directions, hessian, tangent

__all__ = ["derive", "directions", "gauss_newton", "hessian", "second_order", "tangent"]

"""Every pair of features, by a few factors."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.layers.linear import last_axis
from bpgen.layers.naming import called


def factorization_machine(x: bp.Tensor, rank: int, *, name: str | None = None) -> bp.Tensor:
    """Add what each feature says to what each pair of features says.

    Formula:
        u[…,r] = Σ_d x[…,d] V[d,r],  q[…,r] = Σ_d x[…,d]² V[d,r]²
        y[…]   = w0 + Σ_d w[d] x[…,d] + Σ_r (u[…,r]² - q[…,r]) / 2

    Shapes: x[…,d] -> y[…]; parameters `name_w0` = 0, `name_w[d]` = 0, `name_V[d,r]` (normal,
    deviation 0.1).
    Errors: ShapeError if `x` has no axis but the batch.
    Source: Rendle 2010, Factorization machines, eq. 1 and lemma 3.1.
    """
    *outer, d = at = last_axis(x, "factorization_machine")
    row = tuple(outer)
    r = bp.fresh_index(rank, "r", *at)
    w0 = bp.parameter(called(name, "w0"), init=bp.init.zeros())
    w = bp.parameter(called(name, "w"), d, init=bp.init.zeros())
    V = bp.parameter(called(name, "V"), d, r, init=bp.init.normal(0.1))
    u = bp.define(called(name, "u"), (*row, r), bp.sum(x[at] * V[d, r], over=d))
    q = bp.define(called(name, "q"), (*row, r), bp.sum(x[at] ** 2 * V[d, r] ** 2, over=d))
    pairs = bp.sum((u[(*row, r)] ** 2 - q[(*row, r)]) / 2, over=r)
    return bp.define(called(name, "y"), row, w0[()] + bp.sum(w[d] * x[at], over=d) + pairs)

"""Several layers, mixed by a gate."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.layers.linear import last_axis, linear
from bpgen.layers.naming import called
from bpgen.layers.softmax import softmax


def mixture_of_experts(
    x: bp.Tensor,
    units: int,
    experts: int,
    *,
    name: str | None = None,
    bias: bool = True,
    init: bp.init.Rule | None = None,
) -> bp.Tensor:
    """Mix affine maps of `x`, the experts, by weights that a softmax gives to each.

    Formula:
        p[…,e]   = softmax over e of Σ_d x[…,d] gate_W[d,e] + gate_b[e]
        z[…,e,h] = Σ_d x[…,d] W[d,e,h] + b[e,h]
        y[…,h]   = Σ_e p[…,e] z[…,e,h]

    Shapes: x[…,d] -> y[…,h]; parameters `name_gate_W[d,e]`, `name_W[d,e,h]` (he),
    `name_gate_b[e]`, `name_b[e,h]` = 0.
    Errors: ShapeError if `x` has no axis but the batch.
    Source: Jacobs, Jordan, Nowlan & Hinton 1991, Adaptive mixtures of local experts.
    """
    *outer, d = last_axis(x, "mixture_of_experts")
    row = tuple(outer)
    p = softmax(linear(x, experts, name=f"{name}_gate" if name else None))
    e = p.indices[-1]
    h = bp.fresh_index(units, "h", *x.indices, e)
    W = bp.parameter(called(name, "W"), d, e, h, init=init)
    formula = bp.sum(x[x.indices] * W[d, e, h], over=d)
    if bias:
        formula = formula + bp.parameter(called(name, "b"), e, h, init=bp.init.zeros())[e, h]
    z = bp.define(called(name, "z"), (*row, e, h), formula)
    return bp.define(bp.Auto("y"), (*row, h), bp.sum(p[p.indices] * z[(*row, e, h)], over=e))

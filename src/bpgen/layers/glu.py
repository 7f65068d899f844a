"""The linear unit with a gate."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.activations import sigmoid
from bpgen.layers.linear import linear


def glu(x: bp.Tensor, units: int, *, name: str | None = None, bias: bool = True) -> bp.Tensor:
    """Multiply one affine map of `x` by the logistic function of another.

    Formula:
        gate[…,h] = Σ_d x[…,d] gate_W[d,h] + gate_b[h]
        z[…,h]    = Σ_d x[…,d] W[d,h] + b[h]
        y[…,h]    = z[…,h] σ(gate[…,h])

    Shapes: x[…,d] -> y[…,h]; parameters `name_gate_W[d,h]`, `name_W[d,h]` (he), `name_gate_b[h]`,
    `name_b[h]` = 0.
    Errors: ShapeError if `x` has no axis but the batch.
    Source: Dauphin, Fan, Auli & Grangier 2016, arXiv:1612.08083, eq. 1.
    """
    gate = linear(x, units, name=f"{name}_gate" if name else None, bias=bias)
    return linear(x, units, name=name, bias=bias) * sigmoid(gate)

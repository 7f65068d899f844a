"""The linear unit whose gate is a swish."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.activations import silu
from bpgen.layers.linear import linear


def swiglu(x: bp.Tensor, units: int, *, name: str | None = None, bias: bool = True) -> bp.Tensor:
    """Multiply one affine map of `x` by the swish of another.

    Formula:
        gate[…,h] = Σ_d x[…,d] gate_W[d,h] + gate_b[h]
        z[…,h]    = Σ_d x[…,d] W[d,h] + b[h]
        y[…,h]    = z[…,h] gate[…,h] σ(gate[…,h])

    Shapes: x[…,d] -> y[…,h]; parameters `name_gate_W[d,h]`, `name_W[d,h]` (he), `name_gate_b[h]`,
    `name_b[h]` = 0.
    Errors: ShapeError if `x` has no axis but the batch.
    Source: Shazeer 2020, arXiv:2002.05202, eq. 5.
    """
    gate = linear(x, units, name=f"{name}_gate" if name else None, bias=bias)
    return linear(x, units, name=name, bias=bias) * silu(gate)

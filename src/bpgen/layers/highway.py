"""A layer with a gate that lets its input pass."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.activations import relu, sigmoid
from bpgen.layers.linear import last_axis, linear


def highway(x: bp.Tensor, *, name: str | None = None) -> bp.Tensor:
    """Mix a layer of `x` and `x` itself, each feature by a gate of its own.

    Formula:
        change[…,h] = relu( Σ_d x[…,d] W[d,h] + b[h] )
        gate[…,h]   = σ( Σ_d x[…,d] gate_W[d,h] + gate_b[h] )
        y[…,d]      = x[…,d] + gate[…,d] (change[…,d] - x[…,d])

    Shapes: x[…,d] -> y[…,d]; parameters `name_W`, `name_gate_W` (he), `name_b`, `name_gate_b` = 0.
    Errors: ShapeError if `x` has no axis but the batch.
    Source: Srivastava, Greff & Schmidhuber 2015, arXiv:1505.00387, eq. 3.
    """
    *_, d = last_axis(x, "highway")
    units = d.extent.value or 0
    change = relu(linear(x, units, name=name))
    gate = sigmoid(linear(x, units, name=f"{name}_gate" if name else None))
    return x + gate * (change - x)

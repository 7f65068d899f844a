"""A gate for each channel, which sees all channels."""

from __future__ import annotations

from bpgen import declare as bp
from bpgen.activations import relu, sigmoid
from bpgen.layers.demands import needed_axes, part
from bpgen.layers.global_average_pool import global_average_pool
from bpgen.layers.linear import linear


def squeeze_excitation(x: bp.Tensor, reduction: int, *, name: str | None = None) -> bp.Tensor:
    """Weigh each channel by a gate that a small network computes from the means of all channels.

    Formula:
        pooled[n,c] = mean of x[n,c,…] over all further axes
        h[n,r]      = relu( Σ_c pooled[n,c] squeeze_W[c,r] + squeeze_b[r] )
        gate[n,c]   = σ( Σ_r h[n,r] excite_W[r,c] + excite_b[c] )
        y[n,c,…]    = x[n,c,…] gate[n,c]

    Shapes: x[n,c,…] -> y[n,c,…], R = C / reduction; parameters `name_squeeze_W`, `name_squeeze_b`,
    `name_excite_W`, `name_excite_b`.
    Errors: ShapeError if `x` has no axis after its channels, or `reduction` does not divide C.
    Source: Hu, Shen & Sun 2017, arXiv:1709.01507, eqs. 2 to 4.
    """
    n, c, *_ = at = needed_axes(x, "squeeze_excitation", "x[n,c,h]")
    units = part("squeeze_excitation", "reduction", c, reduction)
    pooled = global_average_pool(x)
    h = relu(linear(pooled, units, name=f"{name}_squeeze" if name else None))
    z = linear(h, c.extent.value or 0, name=f"{name}_excite" if name else None)
    gate = sigmoid(z)
    return bp.define(bp.Auto("y"), at, x[at] * gate[n, c])

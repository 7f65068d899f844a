"""A layer and an activation of one's own, a code drawn by noise, and what it costs."""

import sympy

import bpgen as bp
from bpgen.layers import factorization_machine, linear
from bpgen.losses import evidence_lower_bound, mean_squared_error


def low_rank(x: bp.Tensor, rank: int, units: int, *, name: str) -> bp.Tensor:
    """Return a linear layer whose matrix is a product of two thin ones."""
    n, d = x.indices
    r, h = bp.index("r", rank), bp.index("h", units)
    U = bp.parameter(f"{name}_U", d, r)
    V = bp.parameter(f"{name}_V", r, h)
    u = bp.define(f"{name}_u", (n, r), bp.sum(x[n, d] * U[d, r], over=d))
    return bp.define(f"{name}_z", (n, h), bp.sum(u[n, r] * V[r, h], over=r))


swish = bp.activation(lambda z: z / (1 + sympy.exp(-z)), name="swish")

x = bp.input("x", 5)
y = bp.input("y")

encoded = swish(low_rank(x, 2, 7, name="enc"))
mean = linear(encoded, 3, name="mean")
log_variance = linear(encoded, 3, name="log_variance")
n, k = mean.indices
epsilon = bp.noise("epsilon", (n, k), "normal")
sample = mean[n, k] + sympy.exp(log_variance[n, k] / 2) * epsilon[n, k]
code = bp.define("code", (n, k), sample, predict=mean[n, k])
found = factorization_machine(code, 2, name="pairs")
loss = mean_squared_error(found, y) + evidence_lower_bound(mean, log_variance=log_variance)
model = bp.Model(loss=loss, outputs={"y": found})

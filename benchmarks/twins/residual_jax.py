"""The residual block in JAX, without the running means that prediction would read."""

from __future__ import annotations

import jax
from jax.nn import relu

from benchmarks.twins.jax_layers import Arrays, channels_last, conv, linear

start = channels_last


def logits(p: Arrays, x: jax.Array) -> jax.Array:
    """Return two convolutions with batch norm and what skips them, a mean and a linear layer."""
    h = relu(_normalised(p, "conv1", x))
    h = relu(x + _normalised(p, "conv2", h))
    return linear(p, "fc", h.mean((1, 2)))


def _normalised(p: Arrays, name: str, x: jax.Array) -> jax.Array:
    z = conv(p, name, x, padding=1)
    mean, var = z.mean((0, 1, 2)), z.var((0, 1, 2))
    scale = p[f"{name}_norm_gain"] * jax.lax.rsqrt(var + 1e-5)
    return (z - mean) * scale + p[f"{name}_norm_shift"]

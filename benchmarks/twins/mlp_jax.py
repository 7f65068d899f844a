"""A perceptron in JAX."""

from __future__ import annotations

import jax

from benchmarks.twins.jax_layers import Arrays, kept, linear

start = kept


def logits(p: Arrays, x: jax.Array) -> jax.Array:
    """Return linear layers with relu between them."""
    *hidden, last = (name.removesuffix("_W") for name in sorted(p) if name.endswith("_W"))
    for name in hidden:
        x = jax.nn.relu(linear(p, name, x))
    return linear(p, last, x)

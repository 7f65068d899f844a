"""The LSTM in JAX."""

from __future__ import annotations

import jax
from jax import numpy as jnp
from jax.nn import sigmoid

from benchmarks.twins.jax_layers import Arrays, kept, linear

start = kept


def logits(p: Arrays, x: jax.Array) -> jax.Array:
    """Return the logits of every step; what the state does not change is one product before."""

    def cell(
        state: tuple[jax.Array, jax.Array], z: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        h, c = state
        i, f, g, o = jnp.split(z + h @ p["rnn_U"], 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((len(x), len(p["rnn_U"])))
    _, h = jax.lax.scan(cell, (zeros, zeros), linear(p, "rnn", x).swapaxes(0, 1))
    return linear(p, "head", h.swapaxes(0, 1))

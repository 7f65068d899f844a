"""The GRU in JAX."""

from __future__ import annotations

import jax
from jax import numpy as jnp
from jax.nn import sigmoid

from benchmarks.twins.jax_layers import Arrays, kept, linear

start = kept


def logits(p: Arrays, x: jax.Array) -> jax.Array:
    """Return the logits of every step; what the state does not change is one product before."""

    def cell(h: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
        vr, vz, vn = jnp.split(v, 3, axis=-1)
        ur, uz, un = jnp.split(h @ p["rnn_U"], 3, axis=-1)
        z = sigmoid(vz + uz)
        new = jnp.tanh(vn + sigmoid(vr + ur) * (un + p["rnn_c"]))
        h = (1 - z) * new + z * h
        return h, h

    zeros = jnp.zeros((len(x), len(p["rnn_U"])))
    _, h = jax.lax.scan(cell, zeros, linear(p, "rnn", x).swapaxes(0, 1))
    return linear(p, "head", h.swapaxes(0, 1))

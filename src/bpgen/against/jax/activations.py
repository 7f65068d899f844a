"""Activations."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from bpgen.against.framework import Entry

ENTRIES: Mapping[str, Entry] = {
    "elu": lambda a, p: jax.nn.elu(a.z, a.alpha),
    "gelu": lambda a, p: jax.nn.gelu(a.x, approximate=False),
    "gelu_tanh": lambda a, p: jax.nn.gelu(a.x, approximate=True),
    "hard_sigmoid": lambda a, p: jax.nn.hard_sigmoid(a.z),
    "hard_swish": lambda a, p: jax.nn.hard_swish(a.z),
    "leaky_relu": lambda a, p: jax.nn.leaky_relu(a.z, a.slope),
    "mish": lambda a, p: jax.nn.mish(a.x),
    "relu": lambda a, p: jax.nn.relu(a.z),
    "selu": lambda a, p: jax.nn.selu(a.z),
    "sigmoid": lambda a, p: jax.nn.sigmoid(a.z),
    "silu": lambda a, p: jax.nn.silu(a.x),
    "sine": lambda a, p: jnp.sin(a.frequency * a.z),
    "softplus": lambda a, p: jax.nn.softplus(a.z),
    "softsign": lambda a, p: jax.nn.soft_sign(a.z),
    "tanh": lambda a, p: jnp.tanh(a.z),
}

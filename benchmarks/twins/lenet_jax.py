"""LeNet in JAX."""

from __future__ import annotations

from typing import Any

import jax
from jax.nn import relu

from benchmarks.twins.jax_layers import Arrays, channels_last, conv, linear, max_pool


def start(p: Arrays, x: Any) -> tuple[dict[str, Any], Any]:
    """Return everything with channels last, also what the first linear layer reads."""
    arranged, images = channels_last(p, x)
    W = p["fc1_W"]
    arranged["fc1_W"] = W.reshape(16, 5, 5, -1).transpose(1, 2, 0, 3).reshape(W.shape)
    return arranged, images


def logits(p: Arrays, x: jax.Array) -> jax.Array:
    """Return two convolutions with pooling, and three linear layers."""
    x = max_pool(relu(conv(p, "conv1", x, padding=2) + p["conv1_b"]))
    x = max_pool(relu(conv(p, "conv2", x) + p["conv2_b"]))
    x = relu(linear(p, "fc1", x.reshape(len(x), -1)))
    return linear(p, "fc3", relu(linear(p, "fc2", x)))

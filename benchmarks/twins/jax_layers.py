"""Layers of JAX, whose parameters have the names and shapes of the declared ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
from jax import numpy as jnp

Arrays = Mapping[str, Any]


def kept(p: Arrays, x: Any) -> tuple[dict[str, Any], Any]:
    """Return parameters and a batch as they are: their layout suits JAX."""
    return dict(p), x


def linear(p: Arrays, name: str, x: jax.Array) -> jax.Array:
    """Return x W + b."""
    return x @ p[f"{name}_W"] + p[f"{name}_b"]


def conv(p: Arrays, name: str, x: jax.Array, *, padding: int = 0) -> jax.Array:
    """Return the convolution of x[n,h,w,c] by W[u,v,c,f]."""
    border = ((padding, padding), (padding, padding))
    return jax.lax.conv_general_dilated(
        x, p[f"{name}_W"], (1, 1), border, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def channels_last(p: Arrays, x: Any) -> tuple[dict[str, Any], Any]:
    """Return filters as W[u,v,c,f] and images as x[n,h,w,c], which JAX is fastest on."""
    arranged = {k: v.transpose(2, 3, 1, 0) if v.ndim == 4 else v for k, v in p.items()}
    return arranged, x.transpose(0, 2, 3, 1)


def layer_norm(p: Arrays, name: str, x: jax.Array) -> jax.Array:
    """Normalise the last axis, then scale and shift."""
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(var + 1e-5) * p[f"{name}_gain"] + p[f"{name}_shift"]


def max_pool(x: jax.Array) -> jax.Array:
    """Return the maximum of each window of 2 by 2 of x[n,h,w,c]."""
    window = (1, 2, 2, 1)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")

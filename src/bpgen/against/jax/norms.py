"""Normalisations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bpgen.against.framework import Entry, Tensors


def _standard(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    """Give the variance to jax: the one it takes itself loses digits where the mean is large."""
    variance = jnp.var(x, axes, keepdims=True)
    return jax.nn.standardize(x, axes, variance=variance, epsilon=eps)


def _shown(x: Any, p: Tensors) -> Any:
    """Scale and shift each channel of x[n,c,…]."""
    after = tuple(range(1, x.ndim - 1))
    return x * jnp.expand_dims(p["gain"], after) + jnp.expand_dims(p["shift"], after)


def _batch_norm(a: Any, p: Tensors) -> Any:
    return _shown(_standard(a.x, (0, *range(2, a.x.ndim)), a.eps), p)


def _grouped(x: Any, groups: int, eps: float, p: Tensors) -> Any:
    parts = x.reshape(len(x), groups, -1)
    return _shown(_standard(parts, (-1,), eps).reshape(x.shape), p)


def _layer_norm(a: Any, p: Tensors) -> Any:
    return _standard(a.x, (-1,), a.eps) * p["gain"] + p["shift"]


def _rms_norm(a: Any, p: Tensors) -> Any:
    return a.x * jax.lax.rsqrt(jnp.square(a.x).mean(-1, keepdims=True) + a.eps) * p["gain"]


ENTRIES: Mapping[str, Entry] = {
    "batch_norm": _batch_norm,
    "group_norm": lambda a, p: _grouped(a.x, a.groups, a.eps, p),
    "instance_norm": lambda a, p: _grouped(a.x, a.x.shape[1], a.eps, p),
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
}

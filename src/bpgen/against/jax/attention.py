"""Attention, softmax with and without masks, and positions as waves and rotations.

The attention of jax.nn takes its softmax in float32, so it is put together from the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bpgen.against.framework import Entry, Tensors


def _softmax(score: Any, mask: Any, *, causal: bool) -> Any:
    """Return the softmax of scores of what a mask, of positions or of pairs, lets be seen."""
    *_, t, s = score.shape
    seen = jnp.tri(t, s, dtype=bool) if causal else jnp.ones((t, s), bool)
    if mask is not None:
        pairs = (mask > 0).reshape(len(mask), -1, s)
        seen = jnp.expand_dims(pairs, tuple(range(1, score.ndim - 2))) & seen
    return jax.nn.softmax(score, where=seen)


def _turned(x: Any, base: float) -> Any:
    """Turn pairs of features of x[…,t,k], as complex numbers, by their positions."""
    *_, t, k = x.shape
    angle = jnp.outer(jnp.arange(t), base ** (-jnp.arange(0, k, 2) / k))
    pairs = (x[..., ::2] + 1j * x[..., 1::2]) * jnp.exp(1j * angle)
    return jnp.stack((pairs.real, pairs.imag), -1).reshape(x.shape)


def _rotary(a: Any, _: Tensors) -> Any:
    """Positions are the axis after the batch."""
    return jnp.moveaxis(_turned(jnp.moveaxis(a.x, 1, -2), a.base), -2, 1)


def _waves(a: Any, _: Tensors) -> Any:
    """Read both waves from one complex exponential."""
    *_, t, d = a.x.shape
    wave = jnp.exp(1j * jnp.outer(jnp.arange(t), a.longest ** (-jnp.arange(0, d, 2) / d)))
    return a.x + jnp.stack((wave.imag, wave.real), -1).reshape(t, -1)[:, :d]


def _attention(a: Any, p: Tensors) -> Any:
    """Take queries in groups, each with the keys and values of its own."""
    keys = a.x if a.keys is None else a.keys
    heads, width = p["Wk"].shape[1:]
    shape = (a.x.shape[-1], heads, -1, width)
    q = jnp.einsum("...td,dark->...artk", a.x, p["Wq"].reshape(shape))
    k, v = (jnp.einsum("...se,eak->...ask", keys, p[f"W{name}"]) for name in "kv")
    if a.bias:
        q = q + p["bq"].reshape(heads, -1, 1, width)
        v = v + p["bv"][:, None]
    if a.rotary:
        q, k = _turned(q, 10000), _turned(k, 10000)
    score = jnp.einsum("...artk,...ask->...arts", q, k) * width**-0.5
    share = _softmax(score, a.mask, causal=a.causal)
    Wo = p["Wo"].reshape(heads, -1, width, a.x.shape[-1])
    y = jnp.einsum("...arts,...ask,arkh->...th", share, v, Wo)
    return y + p["bo"] if a.bias else y


ENTRIES: Mapping[str, Entry] = {
    "attention": _attention,
    "causal_softmax": lambda a, p: _softmax(a.score, None, causal=True),
    "masked_softmax": lambda a, p: _softmax(a.score, a.mask, causal=a.causal),
    "rotary": _rotary,
    "sinusoidal_positions": _waves,
    "softmax": lambda a, p: jax.nn.softmax(a.x),
}

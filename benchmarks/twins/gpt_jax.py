"""The transformer in JAX."""

from __future__ import annotations

import jax
from jax import numpy as jnp

from benchmarks.twins.jax_layers import Arrays, kept, layer_norm, linear

start = kept


def logits(p: Arrays, tokens: jax.Array) -> jax.Array:
    """Return what two blocks make of characters and positions, through a head."""
    h = p["characters_W"][tokens] + p["positions_W"]
    own = {k.removeprefix("block_"): v for k, v in p.items() if k.startswith("block_")}
    for b in range(len(own["up_b"])):
        h = _block({k: v[b] for k, v in own.items()}, h)
    return linear(p, "head", layer_norm(p, "ln", h))


def _block(p: Arrays, h: jax.Array) -> jax.Array:
    x = layer_norm(p, "ln1", h)
    q = jnp.einsum("ntd,dak->ntak", x, p["att_Wq"]) + p["att_bq"]
    k = jnp.einsum("ntd,dak->ntak", x, p["att_Wk"])
    v = jnp.einsum("ntd,dak->ntak", x, p["att_Wv"]) + p["att_bv"]
    mixed = jax.nn.dot_product_attention(q, k, v, is_causal=True)
    h = h + jnp.einsum("ntak,akh->nth", mixed, p["att_Wo"]) + p["att_bo"]
    up = linear(p, "up", layer_norm(p, "ln2", h))
    return h + linear(p, "down", jax.nn.gelu(up, approximate=False))

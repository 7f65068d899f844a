"""Affine maps, tables of vectors, and units that are made of affine maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bpgen.against.framework import Entry, Tensors, halves


def _linear(a: Any, p: Tensors) -> Any:
    W = p["W"] if a.weight is None else a.weight
    W = W.T if a.transposed and a.weight is not None else W
    return jnp.matmul(a.x, W) + p.get("b", 0)


def _embedding(a: Any, p: Tensors) -> Any:
    return jnp.take(p["W"] if a.weight is None else a.weight, a.tokens, axis=0)


def _maps(x: Any, p: Tensors) -> tuple[Any, Any]:
    """Return two affine maps of `x`, in the order in which they were declared."""
    first, second = (x @ W + sum(b) for W, *b in halves(p))
    return first, second


def _glu(a: Any, p: Tensors) -> Any:
    gate, value = _maps(a.x, p)
    return jax.nn.glu(jnp.concatenate((value, gate), -1))


def _geglu(a: Any, p: Tensors) -> Any:
    gate, value = _maps(a.x, p)
    return value * jax.nn.gelu(gate, approximate=False)


def _swiglu(a: Any, p: Tensors) -> Any:
    gate, value = _maps(a.x, p)
    return value * jax.nn.silu(gate)


def _highway(a: Any, p: Tensors) -> Any:
    """Take the paper's form, with 1 - gate before the input."""
    change, gate = _maps(a.x, p)
    return jax.nn.sigmoid(gate) * jax.nn.relu(change) + jax.nn.sigmoid(-gate) * a.x


def _experts(a: Any, p: Tensors) -> Any:
    """Run over the experts, each a linear map of its own."""
    gate_W, gate_b, W, *rest = p.values()
    bias = rest[0] if rest else jnp.zeros(W.shape[1:])
    answers = jax.vmap(lambda w, b: a.x @ w + b, in_axes=(1, 0), out_axes=-1)(W, bias)
    weights = jax.nn.softmax(a.x @ gate_W + gate_b)
    return jnp.einsum("...he,...e->...h", answers, weights)


def _machine(a: Any, p: Tensors) -> Any:
    """Sum over all pairs, one by one."""
    pairs = jnp.einsum("...d,...e,dr,er->...de", a.x, a.x, p["V"], p["V"])
    return p["w0"] + a.x @ p["w"] + jnp.triu(pairs, 1).sum((-1, -2))


def _bells(a: Any, p: Tensors) -> Any:
    apart = jnp.expand_dims(a.x, -2) - p["centre"].T
    width = jnp.exp(-p["sharpness"])
    return jnp.exp(-jnp.vecdot(apart, apart) / (2 * width**2))


def _excitation(a: Any, p: Tensors) -> Any:
    squeeze_W, squeeze_b, excite_W, excite_b = p.values()
    pooled = a.x.reshape(*a.x.shape[:2], -1).mean(-1)
    h = jax.nn.relu(pooled @ squeeze_W + squeeze_b)
    return jnp.einsum("nc...,nc->nc...", a.x, jax.nn.sigmoid(h @ excite_W + excite_b))


def _bilinear(a: Any, p: Tensors) -> Any:
    return jnp.einsum("...d,deh,...e->...h", a.x, p["W"], a.other) + p.get("b", 0)


ENTRIES: Mapping[str, Entry] = {
    "bilinear": _bilinear,
    "dropout": lambda a, p: a.x * p["mask"] / (1 - a.rate),
    "embedding": _embedding,
    "factorization_machine": _machine,
    "geglu": _geglu,
    "glu": _glu,
    "highway": _highway,
    "learned_positions": lambda a, p: a.x + p["W"],
    "linear": _linear,
    "mixture_of_experts": _experts,
    "radial_basis": _bells,
    "sparse_linear": lambda a, p: (a.x[..., p["pattern"]] * p["W"]).sum(-1) + p.get("b", 0),
    "squeeze_excitation": _excitation,
    "swiglu": _swiglu,
}

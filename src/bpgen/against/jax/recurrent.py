"""Recurrent layers: one step each, scanned over the sequence by jax.lax.

The parameters of a layer are W, b, U and c, if it has one, in this order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp

from bpgen.against.framework import Entry, Tensors, halves

_ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}
# A step takes the states before and what the input gives, and returns the states after.
States = tuple[Any, ...]
Step = Callable[[States, Any], States]


def _rnn(U: Any, activation: Callable[[Any], Any]) -> Step:
    return lambda states, v: (activation(v + states[0] @ U),)


def _lstm(U: Any) -> Step:
    def step(states: States, v: Any) -> States:
        h, c = states
        i, f, g, o = jnp.split(v + h @ U, 4, -1)
        kept = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(kept), kept

    return step


def _gru(U: Any, c: Any) -> Step:
    def step(states: States, v: Any) -> States:
        (h,) = states
        (vr, vz, vn), (ur, uz, un) = (jnp.split(w, 3, -1) for w in (v, h @ U))
        new = jnp.tanh(vn + jax.nn.sigmoid(vr + ur) * (un + c))
        share = jax.nn.sigmoid(vz + uz)
        return ((1 - share) * new + share * h,)

    return step


def _step(name: str, a: Any, U: Any, *c: Any) -> Step | None:
    """Return the step of a layer; None if its activation is not among ours."""
    match name:
        case "rnn":
            activation = _ACTIVATIONS.get(getattr(a, "activation", "tanh"))
            return activation and _rnn(U, activation)
        case "lstm":
            return _lstm(U)
        case "gru":
            return _gru(U, *c)
        case _:
            return None


def _layer(name: str, a: Any, W: Any, b: Any, U: Any, *c: Any) -> Any:
    """Scan a step over x[…,t,d]; after every `truncate` steps no cotangent flows to the states."""
    step = _step(name, a, U, *c)
    if step is None:
        return None
    v = jnp.moveaxis(a.x @ W + b, -2, 0)
    every = getattr(a, "truncate", None) or len(v)

    def scanned(states: States, at: Any) -> tuple[States, Any]:
        t, now = at
        cut = (t > 0) & (t % every == 0)
        states = tuple(jnp.where(cut, jax.lax.stop_gradient(s), s) for s in states)
        after = step(states, now)
        return after, after[0]

    count = 2 if name == "lstm" else 1
    start = getattr(a, "start", 0)
    starts = start if isinstance(start, tuple) else (start,) * count
    shape = (*a.x.shape[:-2], len(U))
    states = tuple(jnp.broadcast_to(jnp.asarray(s, a.x.dtype), shape) for s in starts)
    backwards = bool(getattr(a, "reverse", False))
    steps = jnp.arange(len(v))
    given = (steps[::-1] if backwards else steps, v)
    _, h = jax.lax.scan(scanned, states, given, reverse=backwards)
    return jnp.moveaxis(h, 0, -2)


def _both_ways(a: Any, p: Tensors) -> Any:
    """Put two layers side by side."""
    ways = zip((False, True), halves(p), strict=True)
    ends = [
        _layer(a.layer, SimpleNamespace(**{**vars(a), "reverse": turned}), *own)
        for turned, own in ways
    ]
    return None if ends[0] is None else jnp.concatenate(ends, -1)


ENTRIES: Mapping[str, Entry] = {
    "bidirectional": _both_ways,
    "gru": lambda a, p: _layer("gru", a, *p.values()),
    "lstm": lambda a, p: _layer("lstm", a, *p.values()),
    "rnn": lambda a, p: _layer("rnn", a, *p.values()),
}

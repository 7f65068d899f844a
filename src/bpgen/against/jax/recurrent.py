"""Recurrent layers: one step each, scanned over the sequence by jax.lax."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp

from bpgen.against.framework import Entry, Tensors

_ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}
# A step takes the states before and what the input gives, and returns the states after.
States = tuple[Any, ...]
Step = Callable[[States, Any], States]


def _rnn(p: Tensors, activation: Callable[[Any], Any]) -> Step:
    return lambda states, v: (activation(v + states[0] @ p["U"]),)


def _lstm(p: Tensors) -> Step:
    def step(states: States, v: Any) -> States:
        h, c = states
        i, f, g, o = jnp.split(v + h @ p["U"], 4, -1)
        kept = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(kept), kept

    return step


def _gru(p: Tensors) -> Step:
    def step(states: States, v: Any) -> States:
        (h,) = states
        (vr, vz, vn), (ur, uz, un) = (jnp.split(w, 3, -1) for w in (v, h @ p["U"]))
        new = jnp.tanh(vn + jax.nn.sigmoid(vr + ur) * (un + p["c"]))
        share = jax.nn.sigmoid(vz + uz)
        return ((1 - share) * new + share * h,)

    return step


def _step(name: str, a: Any, p: Tensors) -> Step | None:
    """Return the step of a layer; None if its activation is not among ours."""
    match name:
        case "rnn":
            activation = _ACTIVATIONS.get(getattr(a, "activation", "tanh"))
            return activation and _rnn(p, activation)
        case "lstm":
            return _lstm(p)
        case "gru":
            return _gru(p)
        case _:
            return None


def _layer(name: str, a: Any, p: Tensors) -> Any:
    """Scan a step over x[…,t,d]; after every `truncate` steps no cotangent flows to the states."""
    step = _step(name, a, p)
    if step is None:
        return None
    v = jnp.moveaxis(a.x @ p["W"] + p["b"], -2, 0)
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
    shape = (*a.x.shape[:-2], len(p["U"]))
    states = tuple(jnp.broadcast_to(jnp.asarray(s, a.x.dtype), shape) for s in starts)
    backwards = bool(getattr(a, "reverse", False))
    steps = jnp.arange(len(v))
    given = (steps[::-1] if backwards else steps, v)
    _, h = jax.lax.scan(scanned, states, given, reverse=backwards)
    return jnp.moveaxis(h, 0, -2)


def _both_ways(a: Any, p: Tensors) -> Any:
    """Put two layers side by side, the parameters of the first before those of the second."""
    stems = [name.removeprefix("forward_").removeprefix("backward_")[0] for name in p]
    pairs = [*zip(stems, p.values(), strict=True)]
    half = len(pairs) // 2
    ends = [
        _layer(a.layer, SimpleNamespace(**{**vars(a), "reverse": turned}), dict(part))
        for turned, part in ((False, pairs[:half]), (True, pairs[half:]))
    ]
    return None if ends[0] is None else jnp.concatenate(ends, -1)


ENTRIES: Mapping[str, Entry] = {
    "bidirectional": _both_ways,
    "gru": lambda a, p: _layer("gru", a, p),
    "lstm": lambda a, p: _layer("lstm", a, p),
    "rnn": lambda a, p: _layer("rnn", a, p),
}

"""JAX: one compiled function for the whole step, whose parameters it may overwrite."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import jax
from jax import numpy as jnp

from benchmarks.contestants import Case, Step

Tree = Any
Update = Callable[[Tree, Tree, Tree, jax.Array, float], tuple[Tree, Tree]]


def setup(case: Case) -> Step:
    """Return the step of the twin."""
    twin = import_module(f"benchmarks.twins.{case.workload.twin}_jax")
    inputs, label = case.batch().values()
    first, inputs = twin.start(case.params(), inputs)
    params, x, y = jax.tree.map(jnp.array, (first, inputs, label))
    kept, update = OPTIMIZERS[case.workload.optimizer]
    state = [jax.tree.map(jnp.zeros_like, params) for _ in range(kept)]
    count = jnp.zeros((), jnp.int32)

    def loss_of(params: Tree, x: jax.Array, y: jax.Array) -> jax.Array:
        scores = jax.nn.log_softmax(twin.logits(params, x))
        return -jnp.take_along_axis(scores, y[..., None], axis=-1).mean()

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def one(params: Tree, state: Tree, count: jax.Array, x: jax.Array, y: jax.Array) -> Tree:
        loss, gradient = jax.value_and_grad(loss_of)(params, x, y)
        params, state = update(params, gradient, state, count + 1, case.workload.rate)
        return params, state, count + 1, loss

    def step() -> float:
        nonlocal params, state, count
        params, state, count, loss = one(params, state, count, x, y)
        return float(loss)

    return step


def _sgd(p: Tree, g: Tree, state: Tree, _: jax.Array, rate: float) -> tuple[Tree, Tree]:
    return jax.tree.map(lambda p, g: p - rate * g, p, g), state


def _momentum(p: Tree, g: Tree, state: Tree, _: jax.Array, rate: float) -> tuple[Tree, Tree]:
    u = jax.tree.map(lambda u, g: 0.9 * u + g, state[0], g)
    return jax.tree.map(lambda p, u: p - rate * u, p, u), [u]


def _adam(
    p: Tree, g: Tree, state: Tree, t: jax.Array, rate: float, *, decay: float = 0
) -> tuple[Tree, Tree]:
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state[0], g)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state[1], g)
    c1, c2 = 1 - 0.9**t, 1 - 0.999**t

    def moved(p: jax.Array, m: jax.Array, v: jax.Array) -> jax.Array:
        return p - rate * decay * p - rate * (m / c1) / (jnp.sqrt(v / c2) + 1e-8)

    return jax.tree.map(moved, p, m, v), [m, v]


OPTIMIZERS: dict[str, tuple[int, Update]] = {
    "sgd": (0, _sgd),
    "momentum": (1, _momentum),
    "adam": (2, _adam),
    "adamw": (2, partial(_adam, decay=0.01)),
}

"""Counterparts in JAX: for each catalog entry, the function of jax.nn or jax.numpy.

`a` holds the arguments by name, `p` the tensors that the call declared: parameters, noise, tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

NAME = "jax"
Tensors = Mapping[str, Any]


def tensor(array: NDArray[Any]) -> Any:
    """Return an array as jax has it, in float64."""
    jax.config.update("jax_enable_x64", True)  # noqa: FBT003  the name says what it is
    return jnp.asarray(array)


def array(found: Any) -> NDArray[Any]:
    """Return an array of numpy."""
    return np.asarray(found)


def gradients(loss: Any, tensors: Sequence[Any]) -> list[NDArray[Any]]:
    """Return nothing: jax differentiates functions, and the calls of a model are not one."""
    del loss, tensors
    return []


def _linear(a: Any, p: Tensors) -> Any:
    W = p["W"] if a.weight is None else a.weight
    W = W.T if a.transposed and a.weight is not None else W
    return jnp.matmul(a.x, W) + p.get("b", 0)


def _norm(a: Any, p: Tensors) -> Any:
    return jax.nn.standardize(a.x, axis=-1, epsilon=a.eps) * p["gain"] + p["shift"]


def _cross_entropy(a: Any, _: Tensors) -> Any:
    if a.ignore is not None:
        return None
    classes = a.logits.shape[-1]
    target = jax.nn.one_hot(a.label, classes, dtype=a.logits.dtype)
    target = (1 - a.smoothing) * target + a.smoothing / classes
    return -(target * jax.nn.log_softmax(a.logits)).sum(-1).mean()


def _binary(a: Any, _: Tensors) -> Any:
    right = a.target * jax.nn.log_sigmoid(a.logits)
    return -(right + (1 - a.target) * jax.nn.log_sigmoid(-a.logits)).mean()


ENTRIES: Mapping[str, Callable[[Any, Tensors], Any]] = {
    "dropout": lambda a, p: a.x * p["mask"] / (1 - a.rate),
    "embedding": lambda a, p: jnp.take(p["W"] if a.weight is None else a.weight, a.tokens, axis=0),
    "flatten": lambda a, p: a.x.reshape(len(a.x), -1),
    "layer_norm": _norm,
    "learned_positions": lambda a, p: a.x + p["W"],
    "linear": _linear,
    "softmax": lambda a, p: jax.nn.softmax(a.x),
    "sparse_linear": lambda a, p: (a.x[..., p["pattern"]] * p["W"]).sum(-1) + p.get("b", 0),
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
    "mean_absolute_error": lambda a, p: jnp.abs(a.prediction - a.target).mean(),
    "mean_squared_error": lambda a, p: jnp.square(a.prediction - a.target).mean(),
    "sigmoid_cross_entropy": _binary,
    "softmax_cross_entropy": _cross_entropy,
}

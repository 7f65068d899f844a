"""Losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy import special, stats

from bpgen.against.framework import Entry, Tensors


def _cross_entropy(a: Any, _: Tensors) -> Any:
    classes = a.logits.shape[-1]
    target = jax.nn.one_hot(a.label, classes, dtype=a.logits.dtype)
    target = (1 - a.smoothing) * target + a.smoothing / classes
    entries = -(target * jax.nn.log_softmax(a.logits)).sum(-1)
    return entries.mean() if a.ignore is None else entries.mean(where=a.label != a.ignore)


def _binary_entries(a: Any) -> Any:
    right = a.target * jax.nn.log_sigmoid(a.logits)
    return -(right + (1 - a.target) * jax.nn.log_sigmoid(-a.logits))


def _focal(a: Any, _: Tensors) -> Any:
    p = jax.nn.sigmoid(a.logits)
    wrong = a.target * (1 - p) + (1 - a.target) * p
    share = 0.5 if a.alpha is None else a.alpha
    weight = share * a.target + (1 - share) * (1 - a.target)
    entries = weight * wrong**a.gamma * _binary_entries(a)
    return entries.mean() * (2 if a.alpha is None else 1)


def _cosine(a: Any, _: Tensors) -> Any:
    u, v = (
        w / jnp.maximum(jnp.linalg.vector_norm(w, axis=-1, keepdims=True), a.eps)
        for w in (a.prediction, a.target)
    )
    return 1 - jnp.vecdot(u, v).mean()


def _dice(a: Any, _: Tensors) -> Any:
    prediction, target = (w.reshape(len(w), -1) for w in (a.prediction, a.target))
    both, size = jnp.vecdot(prediction, target), prediction.sum(1) + target.sum(1)
    return 1 - ((2 * both + a.smooth) / (size + a.smooth)).mean()


def _elbo(a: Any, _: Tensors) -> Any:
    """Return the divergence as the square of the mean and what expm1 leaves of the variance."""
    excess = jnp.expm1(a.log_variance) - a.log_variance
    return a.weight * (jnp.square(a.mean) + excess).sum(-1).mean() / 2


def _gaussian(a: Any, _: Tensors) -> Any:
    """Take the logarithm of the density, which has the constant that `full` asks for."""
    deviation = jnp.sqrt(jnp.maximum(a.variance, a.eps))
    density = stats.norm.logpdf(a.target, a.mean, deviation)
    return -density.mean() - (0 if a.full else jnp.log(2 * jnp.pi) / 2)


def _huber(a: Any, _: Tensors) -> Any:
    """Split the residual into what counts as a square and what lies beyond."""
    r = jnp.abs(a.prediction - a.target)
    inside = jnp.minimum(r, a.delta)
    return (inside**2 / 2 + a.delta * (r - inside)).mean()


def _kl(a: Any, _: Tensors) -> Any:
    target = a.target
    return (special.xlogy(target, target) - target * jax.nn.log_softmax(a.logits)).sum(-1).mean()


def _mixture(a: Any, _: Tensors) -> Any:
    target = jnp.expand_dims(a.target, -2)
    width = jnp.exp(jnp.expand_dims(a.log_scale, -1))
    parts = stats.norm.logpdf(target, a.mean, width).sum(-1)
    return -special.logsumexp(jax.nn.log_softmax(a.logits) + parts, axis=-1).mean()


def _norm(a: Any, order: int) -> Any:
    """Return the sum of the sizes of weights, or of their squares, by the norm of each."""
    return a.strength * sum(jnp.linalg.vector_norm(w, ord=order) ** order for w in a.weights)


ENTRIES: Mapping[str, Entry] = {
    "cosine_distance": _cosine,
    "dice": _dice,
    "evidence_lower_bound": _elbo,
    "focal": _focal,
    "gaussian_nll": _gaussian,
    "hinge": lambda a, p: jax.nn.relu(a.margin - a.target * a.prediction).mean(),
    "huber": _huber,
    "kl_divergence": _kl,
    "l1": lambda a, p: _norm(a, 1),
    "l2": lambda a, p: _norm(a, 2),
    "mean_absolute_error": lambda a, p: jnp.abs(a.prediction - a.target).mean(),
    "mean_squared_error": lambda a, p: jnp.square(a.prediction - a.target).mean(),
    "mixture_density": _mixture,
    "poisson_nll": lambda a, p: (jnp.exp(a.log_rate) - a.target * a.log_rate).mean(),
    "sigmoid_cross_entropy": lambda a, p: _binary_entries(a).mean(),
    "softmax_cross_entropy": _cross_entropy,
}

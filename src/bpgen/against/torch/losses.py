"""Losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  everyone's name for it
from torch import distributions

from bpgen.against.framework import Entry, Tensors


def _cross_entropy(a: Any, _: Tensors) -> Any:
    rows = a.logits.flatten(0, -2), a.label.flatten()
    ignore = -100 if a.ignore is None else a.ignore
    return F.cross_entropy(*rows, label_smoothing=a.smoothing, ignore_index=ignore)


def _elbo(a: Any, _: Tensors) -> Any:
    code = distributions.Normal(a.mean, torch.exp(a.log_variance / 2))
    standard = distributions.Normal(torch.zeros_like(a.mean), torch.ones_like(a.mean))
    return a.weight * distributions.kl_divergence(code, standard).sum(-1).mean()


def _mixture(a: Any, _: Tensors) -> Any:
    normal = distributions.Normal(a.mean, torch.exp(a.log_scale)[..., None].expand_as(a.mean))
    parts = distributions.Independent(normal, 1)
    weights = distributions.Categorical(logits=a.logits)
    return -distributions.MixtureSameFamily(weights, parts).log_prob(a.target).mean()


def _dice(a: Any, _: Tensors) -> Any:
    """Take the two sizes apart; ours adds them entry by entry."""
    prediction, target = a.prediction.flatten(1), a.target.flatten(1)
    both = torch.linalg.vecdot(prediction, target)
    size = prediction.sum(1) + target.sum(1)
    return 1 - ((2 * both + a.smooth) / (size + a.smooth)).mean()


def _focal(a: Any, _: Tensors) -> Any:
    """Take the formula of the paper, as torchvision writes it."""
    surprise = F.binary_cross_entropy_with_logits(a.logits, a.target, reduction="none")
    wrong = a.target * torch.sigmoid(-a.logits) + (1 - a.target) * torch.sigmoid(a.logits)
    weight = 1 if a.alpha is None else a.alpha * a.target + (1 - a.alpha) * (1 - a.target)
    return (weight * wrong**a.gamma * surprise).mean()


def _kl(a: Any, _: Tensors) -> Any:
    shares = a.logits.log_softmax(-1).flatten(0, -2)
    return F.kl_div(shares, a.target.flatten(0, -2), reduction="batchmean")


def _cosine(a: Any, _: Tensors) -> Any:
    return (1 - F.cosine_similarity(a.prediction, a.target, -1, eps=a.eps)).mean()


def _gaussian(a: Any, _: Tensors) -> Any:
    return F.gaussian_nll_loss(a.mean, a.target, a.variance, full=a.full, eps=a.eps)


def _norm(a: Any, order: int) -> Any:
    """Return the sum of the sizes of weights, or of their squares, by the norm of each."""
    return a.strength * sum(torch.linalg.vector_norm(w, order) ** order for w in a.weights)


ENTRIES: Mapping[str, Entry] = {
    "cosine_distance": _cosine,
    "dice": _dice,
    "evidence_lower_bound": _elbo,
    "focal": _focal,
    "gaussian_nll": _gaussian,
    "hinge": lambda a, p: F.relu(a.margin - a.target * a.prediction).mean(),
    "huber": lambda a, p: F.huber_loss(a.prediction, a.target, delta=a.delta),
    "kl_divergence": _kl,
    "l1": lambda a, p: _norm(a, 1),
    "l2": lambda a, p: _norm(a, 2),
    "mean_absolute_error": lambda a, p: F.l1_loss(a.prediction, a.target),
    "mean_squared_error": lambda a, p: F.mse_loss(a.prediction, a.target),
    "mixture_density": _mixture,
    "poisson_nll": lambda a, p: F.poisson_nll_loss(a.log_rate, a.target),
    "sigmoid_cross_entropy": lambda a, p: F.binary_cross_entropy_with_logits(a.logits, a.target),
    "softmax_cross_entropy": _cross_entropy,
}

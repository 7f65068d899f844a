"""Counterparts in PyTorch: for each catalog entry, torch's own function of the same arguments.

`a` holds the arguments by name, `p` the tensors that the call declared: parameters, noise, tables.
A function returns None where torch has nothing for these arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  everyone's name for it
from numpy.typing import NDArray

NAME = "torch"
Tensors = Mapping[str, Any]


def tensor(array: NDArray[Any]) -> Any:
    """Return an array as a tensor, by which a gradient may be taken if it is real."""
    return torch.tensor(np.array(array), requires_grad=array.dtype.kind == "f")


def array(found: Any) -> NDArray[Any]:
    """Return a tensor as an array."""
    return np.asarray(found.detach().numpy())


def gradients(loss: Any, tensors: Sequence[Any]) -> list[NDArray[Any]]:
    """Return the gradient of `loss` by each of `tensors`, by torch's own differentiation."""
    found = torch.autograd.grad(loss, tensors, allow_unused=True)
    return [
        np.zeros(t.shape) if g is None else array(g) for g, t in zip(found, tensors, strict=True)
    ]


def _linear(a: Any, p: Tensors) -> Any:
    W = p["W"] if a.weight is None else a.weight
    return F.linear(a.x, W if a.transposed and a.weight is not None else W.T, p.get("b"))


def _pair(a: Any, p: Tensors) -> tuple[Any, Any]:
    """Return the two affine maps of a gated unit."""
    value, gate = (F.linear(a.x, p[f"{s}W"].T, p.get(f"{s}b")) for s in ("", "gate_"))
    return value, gate


def _group_norm(a: Any, p: Tensors) -> Any:
    return F.group_norm(a.x, a.groups, p["gain"], p["shift"], eps=a.eps)


def _batch_norm(a: Any, p: Tensors) -> Any:
    if a.x.ndim > 2:
        return None
    return F.batch_norm(a.x, None, None, p["gain"], p["shift"], training=True, eps=a.eps)


def _embedding(a: Any, p: Tensors) -> Any:
    return F.embedding(a.tokens, p["W"] if a.weight is None else a.weight)


def _causal_softmax(a: Any, _: Tensors) -> Any:
    hidden = torch.ones(a.score.shape[-2:]).triu(1).bool()
    return a.score.masked_fill(hidden, -torch.inf).softmax(-1)


def _attention(a: Any, p: Tensors) -> Any:
    """Use scaled_dot_product_attention; keys and values of a group serve several heads."""
    if a.mask is not None or a.rotary:
        return None
    width = p["Wq"].shape[-1]
    keys = a.x if a.keys is None else a.keys
    Wq = p["Wq"].reshape(a.x.shape[-1], -1, width)
    Wo = p["Wo"].reshape(-1, width, a.x.shape[-1])
    q = torch.einsum("ntd,dak->natk", a.x, Wq)
    k, v = (torch.einsum("nse,eak->nask", keys, p[f"W{s}"]) for s in "kv")
    if a.bias:
        q = q + p["bq"].reshape(-1, 1, width)
        v = v + p["bv"][:, None]
    shared = q.shape[1] // k.shape[1]
    k, v = (u.repeat_interleave(shared, 1) for u in (k, v))
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=a.causal)
    y = torch.einsum("natk,akh->nth", mixed, Wo)
    return y + p["bo"] if a.bias else y


def _cross_entropy(a: Any, _: Tensors) -> Any:
    rows = a.logits.flatten(0, -2), a.label.flatten()
    ignore = -100 if a.ignore is None else a.ignore
    return F.cross_entropy(*rows, label_smoothing=a.smoothing, ignore_index=ignore)


def _elbo(a: Any, _: Tensors) -> Any:
    terms = a.mean**2 + a.log_variance.exp() - 1 - a.log_variance
    return a.weight / 2 * terms.sum(-1).mean()


def _mixture(a: Any, _: Tensors) -> Any:
    normal = torch.distributions.Normal(a.mean, torch.exp(a.log_scale)[..., None].expand_as(a.mean))
    parts = torch.distributions.Independent(normal, 1)
    weights = torch.distributions.Categorical(logits=a.logits)
    return -torch.distributions.MixtureSameFamily(weights, parts).log_prob(a.target).mean()


def _machine(a: Any, p: Tensors) -> Any:
    """Sum over all pairs, one by one."""
    pairs = torch.einsum("nd,ne,dr,er->nde", a.x, a.x, p["V"], p["V"])
    return p["w0"] + a.x @ p["w"] + pairs.triu(1).sum((-1, -2))


def _norm(a: Any, p: Tensors) -> Any:
    return F.layer_norm(a.x, a.x.shape[-1:], p["gain"], p["shift"], eps=a.eps)


ENTRIES: Mapping[str, Callable[[Any, Tensors], Any]] = {
    "attention": _attention,
    "batch_norm": _batch_norm,
    "bilinear": lambda a, p: F.bilinear(a.x, a.other, p["W"].permute(2, 0, 1), p.get("b")),
    "causal_softmax": _causal_softmax,
    "dropout": lambda a, p: a.x * p["mask"] / (1 - a.rate),
    "embedding": _embedding,
    "factorization_machine": lambda a, p: None if a.x.ndim != 2 else _machine(a, p),
    "flatten": lambda a, p: a.x.flatten(1),
    "geglu": lambda a, p: _pair(a, p)[0] * F.gelu(_pair(a, p)[1]),
    "global_average_pool": lambda a, p: a.x.flatten(2).mean(-1),
    "global_max_pool": lambda a, p: a.x.flatten(2).amax(-1),
    "glu": lambda a, p: F.glu(torch.cat(_pair(a, p), -1)),
    "group_norm": _group_norm,
    "instance_norm": lambda a, p: F.instance_norm(
        a.x, weight=p["gain"], bias=p["shift"], eps=a.eps
    ),
    "layer_norm": _norm,
    "learned_positions": lambda a, p: a.x + p["W"],
    "linear": _linear,
    "rms_norm": lambda a, p: F.rms_norm(a.x, a.x.shape[-1:], p["gain"], eps=a.eps),
    "softmax": lambda a, p: F.softmax(a.x, -1),
    "sparse_linear": lambda a, p: (a.x[..., p["pattern"]] * p["W"]).sum(-1) + p.get("b", 0),
    "swiglu": lambda a, p: _pair(a, p)[0] * F.silu(_pair(a, p)[1]),
    "elu": lambda a, p: F.elu(a.z, a.alpha),
    "gelu": lambda a, p: F.gelu(a.x),
    "gelu_tanh": lambda a, p: F.gelu(a.x, approximate="tanh"),
    "hard_sigmoid": lambda a, p: F.hardsigmoid(a.z),
    "hard_swish": lambda a, p: F.hardswish(a.z),
    "leaky_relu": lambda a, p: F.leaky_relu(a.z, a.slope),
    "mish": lambda a, p: F.mish(a.x),
    "relu": lambda a, p: F.relu(a.z),
    "selu": lambda a, p: F.selu(a.z),
    "sigmoid": lambda a, p: torch.sigmoid(a.z),
    "silu": lambda a, p: F.silu(a.x),
    "sine": lambda a, p: torch.sin(a.frequency * a.z),
    "softplus": lambda a, p: F.softplus(a.z, threshold=40),
    "softsign": lambda a, p: F.softsign(a.z),
    "tanh": lambda a, p: torch.tanh(a.z),
    "cosine_distance": lambda a, p: (
        1 - F.cosine_similarity(a.prediction, a.target, -1, eps=a.eps)
    ).mean(),
    "evidence_lower_bound": _elbo,
    "gaussian_nll": lambda a, p: F.gaussian_nll_loss(
        a.mean, a.target, a.variance, full=a.full, eps=a.eps
    ),
    "hinge": lambda a, p: F.relu(a.margin - a.target * a.prediction).mean(),
    "huber": lambda a, p: F.huber_loss(a.prediction, a.target, delta=a.delta),
    "kl_divergence": lambda a, p: F.kl_div(
        a.logits.log_softmax(-1).flatten(0, -2), a.target.flatten(0, -2), reduction="batchmean"
    ),
    "mean_absolute_error": lambda a, p: F.l1_loss(a.prediction, a.target),
    "mean_squared_error": lambda a, p: F.mse_loss(a.prediction, a.target),
    "mixture_density": _mixture,
    "poisson_nll": lambda a, p: F.poisson_nll_loss(a.log_rate, a.target),
    "sigmoid_cross_entropy": lambda a, p: F.binary_cross_entropy_with_logits(a.logits, a.target),
    "softmax_cross_entropy": _cross_entropy,
}

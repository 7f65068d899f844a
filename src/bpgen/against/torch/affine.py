"""Affine maps, tables of vectors, and units that are made of affine maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  everyone's name for it

from bpgen.against.framework import Entry, Tensors, halves


def _linear(a: Any, p: Tensors) -> Any:
    W = p["W"] if a.weight is None else a.weight
    return F.linear(a.x, W if a.transposed and a.weight is not None else W.T, p.get("b"))


def _maps(x: Any, p: Tensors) -> tuple[Any, Any]:
    """Return two affine maps of `x`, in the order in which they were declared."""
    first, second = (F.linear(x, W.T, *b) for W, *b in halves(p))
    return first, second


def _glu(a: Any, p: Tensors) -> Any:
    gate, value = _maps(a.x, p)
    return F.glu(torch.cat((value, gate), -1))


def _geglu(a: Any, p: Tensors) -> Any:
    gate, value = _maps(a.x, p)
    return value * F.gelu(gate)


def _swiglu(a: Any, p: Tensors) -> Any:
    gate, value = _maps(a.x, p)
    return value * F.silu(gate)


def _highway(a: Any, p: Tensors) -> Any:
    change, gate = _maps(a.x, p)
    return torch.lerp(a.x, change.relu(), gate.sigmoid())


def _experts(a: Any, p: Tensors) -> Any:
    """Stack the answers of all experts, each a linear map of its own."""
    gate_W, gate_b, W, *rest = p.values()
    biases = rest[0] if rest else [None] * W.shape[1]
    answers = [F.linear(a.x, w.T, b) for w, b in zip(W.unbind(1), biases, strict=True)]
    weights = F.linear(a.x, gate_W.T, gate_b).softmax(-1)
    return (torch.stack(answers, -1) @ weights[..., None])[..., 0]


def _machine(a: Any, p: Tensors) -> Any:
    """Sum over all pairs, one by one."""
    pairs = torch.einsum("...d,...e,dr,er->...de", a.x, a.x, p["V"], p["V"])
    return p["w0"] + a.x @ p["w"] + pairs.triu(1).sum((-1, -2))


def _bells(a: Any, p: Tensors) -> Any:
    apart = torch.linalg.vector_norm(a.x[..., None, :] - p["centre"].T, dim=-1)
    return torch.exp(-((apart * p["sharpness"].exp()) ** 2) / 2)


def _excitation(a: Any, p: Tensors) -> Any:
    squeeze_W, squeeze_b, excite_W, excite_b = p.values()
    h = F.linear(a.x.flatten(2).mean(-1), squeeze_W.T, squeeze_b).relu()
    gate = F.linear(h, excite_W.T, excite_b).sigmoid()
    return torch.einsum("nc...,nc->nc...", a.x, gate)


ENTRIES: Mapping[str, Entry] = {
    "bilinear": lambda a, p: F.bilinear(a.x, a.other, p["W"].permute(2, 0, 1), p.get("b")),
    "dropout": lambda a, p: a.x * p["mask"] / (1 - a.rate),
    "embedding": lambda a, p: F.embedding(a.tokens, p["W"] if a.weight is None else a.weight),
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

"""Attention, softmax with and without masks, and positions as waves and rotations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  everyone's name for it

from bpgen.against.framework import Entry, Tensors


def _past(t: int, s: int) -> Any:
    """Return which s are not after t."""
    return torch.ones(t, s).tril().bool()


def _seen(mask: Any, score_rank: int, shape: tuple[int, int], *, causal: bool) -> Any:
    """Return what a mask of positions or of pairs lets be seen, under the axes of the scores."""
    seen = (mask > 0).reshape(len(mask), *[1] * (score_rank - 3), *_rows(mask), mask.shape[-1])
    return seen & _past(*shape) if causal else seen


def _rows(mask: Any) -> tuple[int, ...]:
    return (1,) if mask.ndim == 2 else (mask.shape[1],)


def _causal_softmax(a: Any, _: Tensors) -> Any:
    seen = _past(*a.score.shape[-2:])
    return a.score.masked_fill(~seen, -torch.inf).softmax(-1)


def _masked_softmax(a: Any, _: Tensors) -> Any:
    seen = _seen(a.mask, a.score.ndim, a.score.shape[-2:], causal=a.causal)
    least = torch.finfo(a.score.dtype).min
    return a.score.masked_fill(~seen, least).softmax(-1) * seen


def _turned(x: Any, base: float) -> Any:
    """Turn pairs of features of x[…,t,k], as complex numbers, by their positions."""
    *_, t, k = x.shape
    angle = torch.outer(torch.arange(t), base ** (-torch.arange(0, k, 2).double() / k))
    pairs = torch.view_as_complex(x.unflatten(-1, (k // 2, 2)).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle)).flatten(-2)


def _rotary(a: Any, _: Tensors) -> Any:
    """Positions are the axis after the batch."""
    return _turned(a.x.movedim(1, -2), a.base).movedim(-2, 1)


def _waves(a: Any, _: Tensors) -> Any:
    *_, t, d = a.x.shape
    slow = a.longest ** (-torch.arange(0, d, 2).double() / d)
    angle = torch.outer(torch.arange(t), slow)
    wave = torch.stack((angle.sin(), angle.cos()), -1).flatten(1)
    return a.x + wave[:, :d]


def _attention(a: Any, p: Tensors) -> Any:
    """Use scaled_dot_product_attention; keys and values of a group serve several heads."""
    keys = a.x if a.keys is None else a.keys
    width = p["Wq"].shape[-1]
    Wq, Wo = p["Wq"].flatten(1, -2), p["Wo"].flatten(0, -3)
    q = torch.einsum("...td,dak->...atk", a.x, Wq)
    k, v = (torch.einsum("...se,eak->...ask", keys, p[f"W{name}"]) for name in "kv")
    if a.bias:
        q = q + p["bq"].reshape(-1, 1, width)
        v = v + p["bv"][:, None]
    k, v = (u.repeat_interleave(q.shape[-3] // k.shape[-3], -3) for u in (k, v))
    if a.rotary:
        q, k = _turned(q, 10000), _turned(k, 10000)
    pairs = (q.shape[-2], k.shape[-2])
    mask = None if a.mask is None else _seen(a.mask, q.ndim, pairs, causal=a.causal)
    causal = a.causal and mask is None
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    y = torch.einsum("...atk,akh->...th", mixed, Wo)
    return y + p["bo"] if a.bias else y


ENTRIES: Mapping[str, Entry] = {
    "attention": _attention,
    "causal_softmax": _causal_softmax,
    "masked_softmax": _masked_softmax,
    "rotary": _rotary,
    "sinusoidal_positions": _waves,
    "softmax": lambda a, p: F.softmax(a.x, -1),
}

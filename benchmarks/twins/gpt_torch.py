"""The transformer in PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.twins.torch_layers import Arrays, affine, linear, value


class Block(nn.Module):
    """Attention and a perceptron, each added to what is there."""

    def __init__(self, p: Arrays) -> None:
        """Start from the parameters of one block."""
        super().__init__()
        d, self.heads, _ = p["att_Wq"].shape
        query, key, value = (p[f"att_W{stem}"].reshape(d, d) for stem in "qkv")
        # A shift of all keys cancels in the softmax; here it starts at 0.
        shift = (p["att_bq"].ravel(), np.zeros(d, np.float32), p["att_bv"].ravel())
        self.qkv = affine(np.concatenate([query, key, value], axis=1), np.concatenate(shift))
        self.out = affine(p["att_Wo"].reshape(d, d), p["att_bo"])
        self.up, self.down = linear(p, "up"), linear(p, "down")
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Return what the next block reads."""
        parts = self.qkv(self.ln1(h)).chunk(3, dim=-1)
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in parts)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = h + self.out(mixed.transpose(1, 2).flatten(-2))
        return h + self.down(functional.gelu(self.up(self.ln2(h))))


class Transformer(nn.Module):
    """Characters and positions, blocks, and a head."""

    def __init__(self, p: Arrays) -> None:
        """Start from `p`."""
        super().__init__()
        self.characters = nn.Embedding(*p["characters_W"].shape, _weight=value(p["characters_W"]))
        self.positions = value(p["positions_W"])
        own = {k.removeprefix("block_"): v for k, v in p.items() if k.startswith("block_")}
        blocks = [{k: v[b] for k, v in own.items()} for b in range(len(own["up_b"]))]
        self.blocks = nn.Sequential(*map(Block, blocks))
        self.ln = nn.LayerNorm(p["positions_W"].shape[1])
        self.head = linear(p, "head")

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.head(self.ln(self.blocks(self.characters(tokens) + self.positions)))


build = Transformer

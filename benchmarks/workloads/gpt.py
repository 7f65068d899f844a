"""Decoder-only transformer: 2 blocks, 4 heads, 128 channels, 64 tokens."""

import bpgen as bp
from bpgen.activations import gelu
from bpgen.layers import attention, embedding, layer_norm, learned_positions, linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adamw

CHANNELS = 128

tokens = bp.input("tokens", 64, dtype="int", below=96)
next_token = bp.label("next_token", 64, classes=96)


def block(h: bp.Tensor) -> bp.Tensor:
    """Let positions look back, then think: each adds to what is there."""
    h = h + attention(layer_norm(h, name="ln1"), 4, causal=True, name="att")
    up = linear(layer_norm(h, name="ln2"), 4 * CHANNELS, name="up")
    return h + linear(gelu(up), CHANNELS, name="down")


h = learned_positions(embedding(tokens, CHANNELS, name="characters"), name="positions")
h = bp.repeat(block, 2, h, name="block")
logits = linear(layer_norm(h, name="ln"), 96, name="head")

model = bp.Model(softmax_cross_entropy(logits, next_token), {"logits": logits}, adamw(1e-3))

"""GPT-2, 124 million parameters: 12 blocks, 12 heads, 768 channels, 1024 tokens."""

import bpgen as bp
from bpgen.activations import gelu
from bpgen.layers import attention, embedding, layer_norm, learned_positions, linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adamw

CHANNELS, WORDS = 768, 50304  # 50257 words, and some more: a multiple of 128

tokens = bp.input("tokens", 1024, dtype="int", below=WORDS)
next_token = bp.label("next_token", 1024, classes=WORDS)


def block(h: bp.Tensor) -> bp.Tensor:
    """Let positions look back, then think: each adds to what is there."""
    h = h + attention(layer_norm(h, name="ln1"), 12, causal=True, name="att")
    up = linear(layer_norm(h, name="ln2"), 4 * CHANNELS, name="up")
    return h + linear(gelu(up), CHANNELS, name="down")


h = learned_positions(embedding(tokens, CHANNELS, name="characters"), name="positions")
h = bp.repeat(block, 12, h, name="block")
logits = linear(layer_norm(h, name="ln"), WORDS, name="head")

model = bp.Model(softmax_cross_entropy(logits, next_token), {"logits": logits}, adamw(1e-3))

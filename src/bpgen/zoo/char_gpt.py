"""Decoder-only transformer that reads 64 characters of text and predicts the one after each."""

import bpgen as bp
from bpgen.activations import gelu
from bpgen.layers import attention, embedding, layer_norm, linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adamw

BLOCKS, HEADS, CHANNELS, CONTEXT = 2, 4, 128, 64

tokens = bp.input("tokens", CONTEXT, dtype="int", below=96)  # tokens[n,t]: ASCII less 32
next_token = bp.label("next_token", CONTEXT, classes=96)  # the character after each


def block(h: bp.Tensor) -> bp.Tensor:
    """Let positions look back, then think: each adds to what is there."""
    h = h + attention(layer_norm(h, name="ln1"), HEADS, causal=True, rotary=True, name="att")
    up = linear(layer_norm(h, name="ln2"), 4 * CHANNELS, name="up")
    return h + linear(gelu(up), CHANNELS, name="down")


h = embedding(tokens, CHANNELS, name="characters")
h = bp.repeat(block, BLOCKS, h, name="block")
logits = linear(layer_norm(h, name="ln"), 96, name="head")

model = bp.Model(
    loss=softmax_cross_entropy(logits, next_token),
    outputs={"logits": logits},
    optimizer=adamw(2e-3, clip=1.0),
    data="topics",
    epochs=3,
)

"""Causal attention of two heads over embedded tokens, and a skip connection."""

import bpgen as bp
from bpgen.layers import attention, embedding, learned_positions, linear
from bpgen.losses import softmax_cross_entropy

tokens = bp.input("tokens", 5, dtype="int", below=7)
following = bp.label("following", 5, classes=3)

h = learned_positions(embedding(tokens, 4, name="characters"), name="place")
h = h + attention(h, 2, causal=True, name="att")
logits = linear(h, 3, name="head")
loss = softmax_cross_entropy(logits, following, ignore=2)
model = bp.Model(loss=loss, outputs={"logits": logits})

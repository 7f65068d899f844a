"""Classifier of passages of text by the mean of what their characters stand for, in any order."""

import bpgen as bp
from bpgen.layers import embedding, linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adam

tokens = bp.input("tokens", 128, dtype="int", below=96)  # tokens[n,t]: ASCII less 32
topic = bp.label("topic", classes=6)  # which of six help topics of Python the passage is from

vector = embedding(tokens, 16, name="characters")
n, t, h = vector.indices
bag = bp.define("bag", (n, h), bp.mean(vector[n, t, h], over=t))
logits = linear(bag, 6, name="fc")

model = bp.Model(
    loss=softmax_cross_entropy(logits, topic),
    outputs={"logits": logits},
    optimizer=adam(1e-2),
    data="topics",
    epochs=40,
)

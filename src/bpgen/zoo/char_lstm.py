"""Long short-term memory that reads text and predicts the character after each."""

import bpgen as bp
from bpgen.layers import embedding, linear, lstm
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adam

CHANNELS, UNITS, CONTEXT = 32, 128, 64

tokens = bp.input("tokens", CONTEXT, dtype="int", below=96)  # tokens[n,t]: ASCII less 32
next_token = bp.label("next_token", CONTEXT, classes=96)  # the character after each

h = lstm(embedding(tokens, CHANNELS, name="characters"), UNITS, name="lstm")
logits = linear(h, 96, name="head")

model = bp.Model(
    loss=softmax_cross_entropy(logits, next_token),
    outputs={"logits": logits},
    optimizer=adam(3e-3, clip=1.0),
    data="topics",
    epochs=4,
)

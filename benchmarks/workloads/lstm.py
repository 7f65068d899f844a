"""Long short-term memory of 128 units: reads 50 steps of 64 features, names a kind for each."""

import bpgen as bp
from bpgen.layers import linear, lstm
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adam

x = bp.input("x", 50, 64)
kind = bp.label("kind", 50, classes=32)

logits = linear(lstm(x, 128, name="rnn"), 32, name="head")

model = bp.Model(softmax_cross_entropy(logits, kind), {"logits": logits}, adam(1e-3))

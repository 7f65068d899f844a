"""Classifier of 8×8 images of digits by units that see six of the 64 pixels each."""

import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import linear, sparse_linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adam

K = 6

x = bp.input("x", 64)  # x[n,d]: grey levels 0 … 1, row by row
digit = bp.label("digit", classes=10)

h = relu(sparse_linear(x, 64, K, seed=0, name="seen"))
logits = linear(h, 10, name="out")

model = bp.Model(
    loss=softmax_cross_entropy(logits, digit),
    outputs={"logits": logits},
    optimizer=adam(3e-3),
    data="digits",
    epochs=40,
)

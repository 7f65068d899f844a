"""Autoencoder that squeezes 8×8 images of digits through eight numbers."""

import bpgen as bp
from bpgen.activations import relu, sigmoid
from bpgen.layers import linear
from bpgen.losses import sigmoid_cross_entropy
from bpgen.optimizers import adam

x = bp.input("x", 64)  # x[n,d]: grey levels 0 … 1, row by row

code = linear(relu(linear(x, 32, name="enc1")), 8, name="enc2")
logits = linear(relu(linear(code, 32, name="dec1")), 64, name="dec2")

model = bp.Model(
    loss=sigmoid_cross_entropy(logits, x),
    outputs={"code": code, "image": sigmoid(logits)},
    optimizer=adam(3e-3),
    data="digits",
    epochs=20,
)

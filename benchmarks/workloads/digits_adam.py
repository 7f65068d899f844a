"""Perceptron 64-32-10 for 8×8 images of digits, trained by adam."""

import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adam

x = bp.input("x", 64)
digit = bp.label("digit", classes=10)

hidden = relu(linear(x, 32, name="fc1"))
logits = linear(hidden, 10, name="fc2")

model = bp.Model(softmax_cross_entropy(logits, digit), {"logits": logits}, adam(1e-3))

"""Perceptron 784-256-128-10 for 28×28 images."""

import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adam

x = bp.input("x", 784)
digit = bp.label("digit", classes=10)

h = relu(linear(x, 256, name="fc1"))
h = relu(linear(h, 128, name="fc2"))
logits = linear(h, 10, name="fc3")

model = bp.Model(softmax_cross_entropy(logits, digit), {"logits": logits}, adam(1e-3))

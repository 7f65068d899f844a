"""Perceptron 1024-4096-4096-1000, 25 million parameters."""

import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import sgd

x = bp.input("x", 1024)
kind = bp.label("kind", classes=1000)

h = relu(linear(x, 4096, name="fc1"))
h = relu(linear(h, 4096, name="fc2"))
logits = linear(h, 1000, name="fc3")

model = bp.Model(softmax_cross_entropy(logits, kind), {"logits": logits}, sgd(0.01))

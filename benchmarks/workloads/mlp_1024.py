"""Perceptron 784-1024-1024-10 for 28×28 images."""

import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import momentum

x = bp.input("x", 784)
digit = bp.label("digit", classes=10)

h = relu(linear(x, 1024, name="fc1"))
h = relu(linear(h, 1024, name="fc2"))
logits = linear(h, 10, name="fc3")

model = bp.Model(softmax_cross_entropy(logits, digit), {"logits": logits}, momentum(0.01))

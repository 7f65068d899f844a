"""Two-layer perceptron for 8×8 images of digits."""

import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import momentum

x = bp.input("x", 64)  # x[n,d]: grey levels 0 … 1, row by row
digit = bp.label("digit", classes=10)

h = relu(linear(x, 32, name="fc1"))
logits = linear(h, 10, name="fc2")

model = bp.Model(
    loss=softmax_cross_entropy(logits, digit, smoothing=0.1),
    outputs={"logits": logits},
    optimizer=momentum(0.1),
    data="digits",
    epochs=20,
)

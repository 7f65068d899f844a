"""Three linear layers with ReLU between them, for 8×8 images of digits."""

import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adam

x = bp.input("x", 64)  # x[n,d]: grey levels 0 … 1, row by row
digit = bp.label("digit", classes=10)

h1 = relu(linear(x, 64, name="fc1"))
h2 = relu(linear(h1, 32, name="fc2"))
logits = linear(h2, 10, name="fc3")

model = bp.Model(
    loss=softmax_cross_entropy(logits, digit),
    outputs={"logits": logits},
    optimizer=adam(3e-3),
    data="digits",
    epochs=20,
)

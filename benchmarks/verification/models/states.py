"""A norm over the batch, which keeps running means, and a random mask."""

import bpgen as bp
from bpgen.activations import silu
from bpgen.layers import batch_norm, dropout, linear
from bpgen.losses import sigmoid_cross_entropy

x = bp.input("x", 5)
y = bp.input("y", 2)

h = silu(batch_norm(linear(x, 7, name="fc1", bias=False), name="norm"))
logits = linear(dropout(h, 0.25), 2, name="fc2")
loss = sigmoid_cross_entropy(logits, y)
model = bp.Model(loss=loss, outputs={"logits": logits})

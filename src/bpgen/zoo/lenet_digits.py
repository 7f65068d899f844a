"""Convolutional network for 8×8 images of digits, after LeNet-5."""

import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import conv2d, flatten, linear, max_pool, reshape
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adam, cosine

x = bp.input("x", 64)  # x[n,d]: grey levels 0 … 1, row by row
digit = bp.label("digit", classes=10)

image = reshape(x, 1, 8, 8)
edges = max_pool(relu(conv2d(image, 16, 3, padding=1, name="conv1")), 2)
strokes = relu(conv2d(edges, 32, 3, name="conv2"))
hidden = relu(linear(flatten(strokes), 64, name="fc1"))
logits = linear(hidden, 10, name="fc2")

model = bp.Model(
    loss=softmax_cross_entropy(logits, digit, smoothing=0.1),
    outputs={"logits": logits},
    optimizer=adam(cosine(4e-3, steps=1350)),
    data="digits",
    epochs=30,
)

"""Convolutional autoencoder that squeezes 8×8 images of digits through sixteen numbers."""

import bpgen as bp
from bpgen.activations import relu, sigmoid
from bpgen.layers import conv2d, conv_transpose2d, reshape
from bpgen.losses import sigmoid_cross_entropy
from bpgen.optimizers import adam

x = bp.input("x", 64)  # x[n,d]: grey levels 0 … 1, row by row

image = reshape(x, 1, 8, 8)
halves = relu(conv2d(image, 8, 3, stride=2, padding=1, name="down1"))
code = conv2d(halves, 4, 3, stride=2, padding=1, name="down2")
grown = relu(conv_transpose2d(code, 8, 4, stride=2, padding=1, name="up1"))
drawn = conv_transpose2d(grown, 1, 4, stride=2, padding=1, name="up2")
logits = reshape(drawn, 64)

model = bp.Model(
    loss=sigmoid_cross_entropy(logits, x),
    outputs={"code": code, "image": sigmoid(logits)},
    optimizer=adam(3e-3),
    data="digits",
    epochs=20,
)

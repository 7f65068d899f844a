"""Means of windows, convolutions along one axis, transposed convolution, and enlargement."""

import bpgen as bp
from bpgen.activations import softplus
from bpgen.layers import avg_pool, conv1d, conv_transpose2d, global_max_pool, reshape, upsample
from bpgen.losses import mean_squared_error

x = bp.input("x", 2, 12)
y = bp.input("y", 3)

h = softplus(conv1d(x, 2, 3, dilation=2, padding=2, name="conv"))
h = reshape(avg_pool(h, 2), 2, 2, 3)
h = conv_transpose2d(h, 3, 2, stride=2, name="up")
h = global_max_pool(upsample(h, 2, mode="linear"))
loss = mean_squared_error(h, y)
model = bp.Model(loss=loss, outputs={"y": h})

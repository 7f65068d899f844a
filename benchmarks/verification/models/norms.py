"""The norms that look at one example: of features, of groups of channels, of root mean squares."""

import bpgen as bp
from bpgen.activations import gelu
from bpgen.layers import group_norm, layer_norm, linear, reshape, rms_norm
from bpgen.losses import cosine_distance

x = bp.input("x", 5)
y = bp.input("y", 3)

h = gelu(layer_norm(linear(x, 12, name="fc1"), name="ln"))
h = group_norm(reshape(h, 4, 3), 2, name="gn")
h = linear(rms_norm(reshape(h, 12), name="rms"), 3, name="fc2")
loss = cosine_distance(h, y)
model = bp.Model(loss=loss, outputs={"y": h})

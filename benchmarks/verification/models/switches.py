"""Three activations with switches, and the huber loss, which is a switch of its own."""

import bpgen as bp
from bpgen.activations import hard_swish, leaky_relu, relu
from bpgen.layers import linear
from bpgen.losses import huber

x = bp.input("x", 5)
y = bp.input("y", 2)

h = relu(linear(x, 7, name="fc1"))
h = leaky_relu(linear(h, 3, name="fc2"))
h = hard_swish(linear(h, 2, name="fc3"))
loss = huber(h, y)
model = bp.Model(loss=loss, outputs={"y": h})

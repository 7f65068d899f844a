"""A quadratic form, a margin, and a penalty on the sizes of the weights."""

import bpgen as bp
from bpgen.activations import elu
from bpgen.layers import bilinear, linear
from bpgen.losses import hinge, l1

x = bp.input("x", 3)
side = bp.input("side", 2)

h = elu(linear(x, 5, name="fc"))
score = bilinear(h, h, 2, name="pair")
loss = hinge(score, side) + l1(score, strength=0.01)
model = bp.Model(loss=loss, outputs={"score": score})

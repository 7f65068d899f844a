"""The density of a mixture of three normal distributions in two dimensions."""

import bpgen as bp
from bpgen.activations import tanh
from bpgen.layers import linear, reshape
from bpgen.losses import mixture_density

x = bp.input("x", 2)
t = bp.input("t", 2)

h = tanh(linear(x, 5, name="hidden"))
share = linear(h, 3, name="share")
width = linear(h, 3, name="width")
centre = reshape(linear(h, 6, name="centre"), 3, 2)
loss = mixture_density(centre, t, logits=share, log_scale=width)
model = bp.Model(loss=loss, outputs={"centre": centre})

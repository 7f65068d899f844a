"""Gates of every kind: halves, experts, highways, and channels that weigh themselves."""

import bpgen as bp
from bpgen.layers import glu, highway, mixture_of_experts, swiglu
from bpgen.losses import mean_absolute_error

x = bp.input("x", 3)
y = bp.input("y", 2)

h = highway(swiglu(x, 4, name="swiglu"), name="highway")
h = glu(h, 3, name="glu")
h = mixture_of_experts(h, 2, 3, name="experts")
loss = mean_absolute_error(h, y)
model = bp.Model(loss=loss, outputs={"y": h})

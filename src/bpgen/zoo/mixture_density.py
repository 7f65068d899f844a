"""Mixture of three normal distributions for an inverse problem that has several answers."""

import bpgen as bp
from bpgen.activations import tanh
from bpgen.layers import linear
from bpgen.losses import mixture_density
from bpgen.optimizers import adam, cosine

PARTS = 3

x = bp.input("x", 1)  # the effect
t = bp.input("t", 1)  # the cause, of which several lead to the same effect

centred = x - 0.5  # tanh bends around 0, and x lies in 0 … 1
hidden = tanh(linear(centred, 20, name="hidden"))
logits = linear(hidden, PARTS, name="share")
log_scale = linear(hidden, PARTS, name="width")
centre = linear(hidden, PARTS, name="centre")

n, j = centre.indices
_, d = t.indices
mean = bp.define("mean", (n, j, d), centre[n, j])

model = bp.Model(
    loss=mixture_density(mean, t, logits=logits, log_scale=log_scale),
    outputs={"logits": logits, "mean": centre, "log_scale": log_scale},
    optimizer=adam(cosine(5e-3, steps=5000)),
    data="inverse_problem",
    epochs=200,
)

"""Variational autoencoder that learns to draw 8×8 images of digits from eight random numbers."""

import sympy

import bpgen as bp
from bpgen.activations import relu, sigmoid
from bpgen.layers import linear
from bpgen.losses import evidence_lower_bound, sigmoid_cross_entropy
from bpgen.optimizers import adam

PIXELS, CODE = 64, 8

x = bp.input("x", PIXELS)  # x[n,d]: grey levels 0 … 1, row by row

encoded = relu(linear(x, 64, name="enc"))
mean = linear(encoded, CODE, name="mean")
log_variance = linear(encoded, CODE, name="log_variance")

# In training the code is drawn around the mean; the draw is an input, so that gradients pass by it.
n, k = mean.indices
epsilon = bp.noise("epsilon", (n, k), "normal")
sample = mean[n, k] + sympy.exp(log_variance[n, k] / 2) * epsilon[n, k]
code = bp.define("code", (n, k), sample, predict=mean[n, k])

decoded = relu(linear(code, 64, name="dec"))
logits = linear(decoded, PIXELS, name="pixels")

model = bp.Model(
    loss=sigmoid_cross_entropy(logits, x) * PIXELS
    + evidence_lower_bound(mean, log_variance=log_variance),
    outputs={"code": code, "image": sigmoid(logits)},
    optimizer=adam(2e-3),
    data="digits",
    epochs=100,
)

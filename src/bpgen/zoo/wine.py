"""Classifier of three cultivars of wine by thirteen chemical measurements."""

import bpgen as bp
from bpgen.activations import tanh
from bpgen.layers import linear
from bpgen.losses import l2, softmax_cross_entropy
from bpgen.optimizers import adam

x = bp.input("x", 13)  # x[n,d]: measurements, standardised
cultivar = bp.label("cultivar", classes=3)

h = tanh(linear(x, 8, name="fc1"))
logits = linear(h, 3, name="fc2")

model = bp.Model(
    loss=softmax_cross_entropy(logits, cultivar) + l2(logits, strength=1e-3),
    outputs={"logits": logits},
    optimizer=adam(1e-2),
    data="wine",
    epochs=60,
)

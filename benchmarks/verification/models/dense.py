"""Two dense layers, smoothed cross entropy: the textbook network."""

import bpgen as bp
from bpgen.activations import tanh
from bpgen.layers import linear
from bpgen.losses import softmax_cross_entropy

x = bp.input("x", 5)
answer = bp.label("answer", classes=4)

h = tanh(linear(x, 7, name="fc1"))
logits = linear(h, 4, name="fc2")
loss = softmax_cross_entropy(logits, answer, smoothing=0.1)
model = bp.Model(loss=loss, outputs={"logits": logits})

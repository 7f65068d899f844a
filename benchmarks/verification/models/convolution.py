"""A strided convolution with a border, maxima of windows, and a grouped convolution."""

import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import conv2d, flatten, linear, max_pool
from bpgen.losses import softmax_cross_entropy

x = bp.input("x", 2, 7, 9)
answer = bp.label("answer", classes=3)

h = relu(conv2d(x, 4, 3, stride=(1, 2), padding=1, name="conv1"))
h = max_pool(h, 2)
h = conv2d(h, 2, 2, groups=2, bias=False, name="conv2")
logits = linear(flatten(h), 3, name="fc")
loss = softmax_cross_entropy(logits, answer)
model = bp.Model(loss=loss, outputs={"logits": logits})

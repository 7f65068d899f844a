"""LeNet-5 for 28×28 images, with relu and the largest of each window."""

import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import conv2d, flatten, linear, max_pool
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import momentum

x = bp.input("x", 1, 28, 28)
digit = bp.label("digit", classes=10)

h = max_pool(relu(conv2d(x, 6, 5, padding=2, name="conv1")), 2)
h = max_pool(relu(conv2d(h, 16, 5, name="conv2")), 2)
h = relu(linear(flatten(h), 120, name="fc1"))
h = relu(linear(h, 84, name="fc2"))
logits = linear(h, 10, name="fc3")

model = bp.Model(softmax_cross_entropy(logits, digit), {"logits": logits}, momentum(0.01))

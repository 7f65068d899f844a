"""Twenty residual blocks with layer norm, for 8×8 images of digits."""

import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import layer_norm, linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adamw

BLOCKS = 20
WIDTH = 32

x = bp.input("x", 64)  # x[n,d]: grey levels 0 … 1, row by row
digit = bp.label("digit", classes=10)

h = linear(x, WIDTH, name="stem")
for block in range(1, BLOCKS + 1):
    a = linear(layer_norm(h, name=f"ln{block}"), WIDTH, name=f"up{block}")
    h = h + linear(relu(a), WIDTH, name=f"down{block}")
logits = linear(layer_norm(h, name="ln"), 10, name="head")

model = bp.Model(
    loss=softmax_cross_entropy(logits, digit),
    outputs={"logits": logits},
    optimizer=adamw(3e-3, clip=1.0),
    data="digits",
    epochs=20,
)

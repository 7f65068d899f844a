"""Residual block: two convolutions of 64 channels with batch norm, and what skips them."""

import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import batch_norm, conv2d, global_average_pool, linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import momentum

x = bp.input("x", 64, 32, 32)
kind = bp.label("kind", classes=10)


def convolved(h: bp.Tensor, name: str) -> bp.Tensor:
    """Return what a convolution gives, normalised; the shift of the norm is its bias."""
    return batch_norm(conv2d(h, 64, 3, padding=1, bias=False, name=name), name=f"{name}_norm")


h = convolved(relu(convolved(x, "conv1")), "conv2")
logits = linear(global_average_pool(relu(x + h)), 10, name="fc")

model = bp.Model(softmax_cross_entropy(logits, kind), {"logits": logits}, momentum(0.01))

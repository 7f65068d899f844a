"""Residual network of convolutions with batch norm, for 8×8 images of digits."""

import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import batch_norm, conv2d, global_average_pool, linear, reshape
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import adamw, one_cycle

x = bp.input("x", 64)  # x[n,d]: grey levels 0 … 1, row by row
digit = bp.label("digit", classes=10)


def convolved(
    h: bp.Tensor, channels: int, name: str, *, kernel: int = 3, stride: int = 1
) -> bp.Tensor:
    """Return what a convolution gives, normalised; the shift of the norm is its bias."""
    z = conv2d(h, channels, kernel, stride=stride, padding=kernel // 2, bias=False, name=name)
    return batch_norm(z, name=f"{name}_norm")


def block(h: bp.Tensor, channels: int, name: str, *, stride: int = 1) -> bp.Tensor:
    """Return `h`, brought to so many channels if it has others, plus what two convolutions add."""
    kept = h if stride == 1 else convolved(h, channels, f"{name}_skip", kernel=1, stride=stride)
    inner = relu(convolved(h, channels, f"{name}_conv1", stride=stride))
    return relu(kept + convolved(inner, channels, f"{name}_conv2"))


h = relu(convolved(reshape(x, 1, 8, 8), 16, "stem"))
h = block(h, 16, "block1")
h = block(h, 32, "block2", stride=2)
logits = linear(global_average_pool(h), 10, name="fc")

model = bp.Model(
    loss=softmax_cross_entropy(logits, digit, smoothing=0.1),
    outputs={"logits": logits},
    optimizer=adamw(one_cycle(1e-2, steps=450), weight_decay=0.05),
    data="digits",
    epochs=20,
)

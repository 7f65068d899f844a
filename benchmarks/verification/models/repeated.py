"""Three residual blocks with parameters of their own, declared once."""

import bpgen as bp
from bpgen.activations import mish
from bpgen.layers import linear, rms_norm
from bpgen.losses import gaussian_nll

x = bp.input("x", 2)
y = bp.input("y", 2)


def block(h: bp.Tensor) -> bp.Tensor:
    """Add what one hidden layer makes of the normed state."""
    return h + linear(mish(linear(rms_norm(h, name="rms"), 3, name="up")), 4, name="down")


h = bp.repeat(block, 3, linear(x, 4, name="stem"), name="block")
n, d = y.indices
mean = linear(h, 2, name="mean")
variance = bp.define("variance", (n, d), mean[n, d] ** 2 + 1)
loss = gaussian_nll(mean, y, variance=variance)
model = bp.Model(loss=loss, outputs={"mean": mean})

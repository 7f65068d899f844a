"""Activations: layers that act entry by entry, each one scalar formula.

In: a tensor of any rank. Out: a tensor with the same indices. True at the door: the formula and
its derivative are finite in float64 for entries up to 1e4 in size, and at a switch the derivative
has the value that PyTorch gives it.

Those that are one formula can stand inside another, on one entry: `sigmoid(a[n, h]) * c[n, h]`.
Those with steps worth a name (`gelu`, `gelu_tanh`, `mish`, `silu`) take tensors.
"""

from bpgen.activations.elu import elu
from bpgen.activations.gelu import gelu
from bpgen.activations.gelu_tanh import gelu_tanh
from bpgen.activations.hard_sigmoid import hard_sigmoid
from bpgen.activations.hard_swish import hard_swish
from bpgen.activations.leaky_relu import leaky_relu
from bpgen.activations.mish import mish
from bpgen.activations.relu import relu
from bpgen.activations.selu import selu
from bpgen.activations.sigmoid import sigmoid
from bpgen.activations.silu import silu
from bpgen.activations.sine import sine
from bpgen.activations.softplus import softplus
from bpgen.activations.softsign import softsign
from bpgen.activations.tanh import tanh

__all__ = [
    "elu",
    "gelu",
    "gelu_tanh",
    "hard_sigmoid",
    "hard_swish",
    "leaky_relu",
    "mish",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "sine",
    "softplus",
    "softsign",
    "tanh",
]

"""Layers: what networks are built from, each declared by its forward formula alone.

In: tensors. Out: a tensor. True at the door: every step has a name, and sums over what its name
says.

A skip connection needs no layer: `h = h + linear(h, 32)`.
"""

from bpgen.layers.dropout import dropout
from bpgen.layers.flatten import flatten
from bpgen.layers.layer_norm import layer_norm
from bpgen.layers.linear import linear
from bpgen.layers.rms_norm import rms_norm
from bpgen.layers.softmax import softmax

__all__ = ["dropout", "flatten", "layer_norm", "linear", "rms_norm", "softmax"]

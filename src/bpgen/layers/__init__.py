"""Layers: what networks are built from, each declared by its forward formula alone.

In: tensors. Out: a tensor. True at the door: every step has a name, and sums over what its name
says.

A skip connection needs no layer: `h = h + linear(h, 32)`.
"""

from bpgen.layers.attention import attention
from bpgen.layers.causal_softmax import causal_softmax
from bpgen.layers.dropout import dropout
from bpgen.layers.embedding import embedding
from bpgen.layers.flatten import flatten
from bpgen.layers.geglu import geglu
from bpgen.layers.glu import glu
from bpgen.layers.layer_norm import layer_norm
from bpgen.layers.learned_positions import learned_positions
from bpgen.layers.linear import linear
from bpgen.layers.rms_norm import rms_norm
from bpgen.layers.sinusoidal_positions import sinusoidal_positions
from bpgen.layers.softmax import softmax
from bpgen.layers.swiglu import swiglu

__all__ = [
    "attention",
    "causal_softmax",
    "dropout",
    "embedding",
    "flatten",
    "geglu",
    "glu",
    "layer_norm",
    "learned_positions",
    "linear",
    "rms_norm",
    "sinusoidal_positions",
    "softmax",
    "swiglu",
]

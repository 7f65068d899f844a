"""Layers: what networks are built from, each declared by its forward formula alone.

In: tensors. Out: a tensor. True at the door: every step has a name, and sums over what its name
says.

A skip connection needs no layer: `h = h + linear(h, 32)`.
"""

from bpgen.layers.adaptive_average_pool import adaptive_average_pool
from bpgen.layers.attention import attention
from bpgen.layers.avg_pool import avg_pool
from bpgen.layers.batch_norm import batch_norm
from bpgen.layers.bidirectional import bidirectional
from bpgen.layers.bilinear import bilinear
from bpgen.layers.causal_softmax import causal_softmax
from bpgen.layers.concatenate import concatenate
from bpgen.layers.conv1d import conv1d
from bpgen.layers.conv2d import conv2d
from bpgen.layers.conv3d import conv3d
from bpgen.layers.conv_transpose2d import conv_transpose2d
from bpgen.layers.dropout import dropout
from bpgen.layers.embedding import embedding
from bpgen.layers.factorization_machine import factorization_machine
from bpgen.layers.flatten import flatten
from bpgen.layers.flip import flip
from bpgen.layers.geglu import geglu
from bpgen.layers.global_average_pool import global_average_pool
from bpgen.layers.global_max_pool import global_max_pool
from bpgen.layers.glu import glu
from bpgen.layers.group_norm import group_norm
from bpgen.layers.gru import gru
from bpgen.layers.highway import highway
from bpgen.layers.instance_norm import instance_norm
from bpgen.layers.layer_norm import layer_norm
from bpgen.layers.learned_positions import learned_positions
from bpgen.layers.linear import linear
from bpgen.layers.lstm import lstm
from bpgen.layers.masked_softmax import masked_softmax
from bpgen.layers.max_pool import max_pool
from bpgen.layers.mixture_of_experts import mixture_of_experts
from bpgen.layers.pad import pad
from bpgen.layers.radial_basis import radial_basis
from bpgen.layers.reshape import reshape
from bpgen.layers.rms_norm import rms_norm
from bpgen.layers.rnn import rnn
from bpgen.layers.roll import roll
from bpgen.layers.rotary import rotary
from bpgen.layers.sinusoidal_positions import sinusoidal_positions
from bpgen.layers.softmax import softmax
from bpgen.layers.sparse_linear import sparse_linear
from bpgen.layers.squeeze_excitation import squeeze_excitation
from bpgen.layers.swiglu import swiglu
from bpgen.layers.transpose import transpose
from bpgen.layers.upsample import upsample

__all__ = [
    "adaptive_average_pool",
    "attention",
    "avg_pool",
    "batch_norm",
    "bidirectional",
    "bilinear",
    "causal_softmax",
    "concatenate",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose2d",
    "dropout",
    "embedding",
    "factorization_machine",
    "flatten",
    "flip",
    "geglu",
    "global_average_pool",
    "global_max_pool",
    "glu",
    "group_norm",
    "gru",
    "highway",
    "instance_norm",
    "layer_norm",
    "learned_positions",
    "linear",
    "lstm",
    "masked_softmax",
    "max_pool",
    "mixture_of_experts",
    "pad",
    "radial_basis",
    "reshape",
    "rms_norm",
    "rnn",
    "roll",
    "rotary",
    "sinusoidal_positions",
    "softmax",
    "sparse_linear",
    "squeeze_excitation",
    "swiglu",
    "transpose",
    "upsample",
]

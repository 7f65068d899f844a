"""Activations."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812  everyone's name for it

from bpgen.against.framework import Entry

ENTRIES: Mapping[str, Entry] = {
    "elu": lambda a, p: F.elu(a.z, a.alpha),
    "gelu": lambda a, p: F.gelu(a.x),
    "gelu_tanh": lambda a, p: F.gelu(a.x, approximate="tanh"),
    # The derivative of F.hardsigmoid is the float32 nearest to 1/6, whatever the dtype.
    "hard_sigmoid": lambda a, p: F.relu6(a.z + 3) / 6,
    "hard_swish": lambda a, p: F.hardswish(a.z),
    "leaky_relu": lambda a, p: F.leaky_relu(a.z, a.slope),
    "mish": lambda a, p: F.mish(a.x),
    "relu": lambda a, p: F.relu(a.z),
    "selu": lambda a, p: F.selu(a.z),
    "sigmoid": lambda a, p: torch.sigmoid(a.z),
    "silu": lambda a, p: F.silu(a.x),
    "sine": lambda a, p: torch.sin(a.frequency * a.z),
    # Beyond its threshold torch drops the exponential; float64 holds it up to 37.
    "softplus": lambda a, p: F.softplus(a.z, threshold=40),
    "softsign": lambda a, p: F.softsign(a.z),
    "tanh": lambda a, p: torch.tanh(a.z),
}

"""The GRU in PyTorch."""

from __future__ import annotations

from torch import nn

from benchmarks.twins.recurrent_torch import Recurrent
from benchmarks.twins.torch_layers import Arrays


def build(p: Arrays) -> nn.Module:
    """Return the layer with its head."""
    return Recurrent(nn.GRU, p)

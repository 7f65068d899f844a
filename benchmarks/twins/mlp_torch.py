"""A perceptron in PyTorch."""

from __future__ import annotations

from torch import nn

from benchmarks.twins.torch_layers import Arrays, linear


def build(p: Arrays) -> nn.Module:
    """Return linear layers with relu between them."""
    names = [name.removesuffix("_W") for name in p if name.endswith("_W")]
    layers = [layer for name in names for layer in (linear(p, name), nn.ReLU())]
    return nn.Sequential(*layers[:-1])

"""LeNet in PyTorch."""

from __future__ import annotations

from torch import nn

from benchmarks.twins.torch_layers import Arrays, conv, linear


def build(p: Arrays) -> nn.Module:
    """Return two convolutions with pooling, and three linear layers."""
    return nn.Sequential(
        conv(p, "conv1", padding=2), nn.ReLU(), nn.MaxPool2d(2),
        conv(p, "conv2"), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        linear(p, "fc1"), nn.ReLU(), linear(p, "fc2"), nn.ReLU(), linear(p, "fc3"),
    )  # fmt: skip

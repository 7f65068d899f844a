"""The residual block in PyTorch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from benchmarks.twins.torch_layers import Arrays, conv, linear


class Residual(nn.Module):
    """Two convolutions with batch norm and what skips them, then a mean and a linear layer."""

    def __init__(self, p: Arrays) -> None:
        """Start from `p`."""
        super().__init__()
        self.conv1, self.conv2 = (conv(p, name, padding=1) for name in ("conv1", "conv2"))
        self.norm1, self.norm2 = nn.BatchNorm2d(64), nn.BatchNorm2d(64)
        self.fc = linear(p, "fc")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        h = functional.relu(self.norm1(self.conv1(x)))
        h = functional.relu(x + self.norm2(self.conv2(h)))
        return self.fc(h.mean((2, 3)))


build = Residual

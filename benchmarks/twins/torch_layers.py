"""Layers of PyTorch that start from the values of a declared layer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

Arrays = Mapping[str, np.ndarray]


def value(array: np.ndarray) -> nn.Parameter:
    """Return a parameter that starts as a copy of `array`."""
    return nn.Parameter(torch.from_numpy(np.array(array, order="C")))


def linear(p: Arrays, name: str) -> nn.Linear:
    """Return the layer of the matrix W[in,out]."""
    return affine(p[f"{name}_W"], p[f"{name}_b"])


def affine(W: np.ndarray, b: np.ndarray) -> nn.Linear:
    """Return the layer of a matrix and a shift."""
    layer = nn.Linear(*W.shape)
    layer.weight, layer.bias = value(W.T), value(b)
    return layer


def conv(p: Arrays, name: str, *, padding: int = 0) -> nn.Conv2d:
    """Return the convolution by the filters W[f,c,u,v]."""
    W, b = p[f"{name}_W"], p.get(f"{name}_b")
    layer = nn.Conv2d(W.shape[1], W.shape[0], W.shape[2], padding=padding, bias=b is not None)
    layer.weight = value(W)
    if b is not None:
        layer.bias = value(b)
    return layer

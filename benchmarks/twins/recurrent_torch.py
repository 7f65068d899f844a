"""Recurrent layers with a head, in PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from benchmarks.twins.torch_layers import Arrays, linear, value


class Recurrent(nn.Module):
    """One recurrent layer and a head.

    PyTorch adds two shifts of the gates, where one is declared: of the second, only what the
    declaration has too is trained.
    """

    def __init__(self, kind: type[nn.RNNBase], p: Arrays) -> None:
        """Start from `p`."""
        super().__init__()
        W, U, b = (p[f"rnn_{stem}"] for stem in "WUb")
        second, trained = np.zeros_like(b), torch.zeros(len(b))
        if "rnn_c" in p:
            second[-len(U) :], trained[-len(U) :] = p["rnn_c"], 1
        self.cell = kind(W.shape[0], U.shape[0], batch_first=True)
        self.cell.weight_ih_l0, self.cell.weight_hh_l0 = value(W.T), value(U.T)
        self.cell.bias_ih_l0, self.cell.bias_hh_l0 = value(b), value(second)
        self.cell.bias_hh_l0.register_hook(lambda gradient: gradient * trained)
        self.head = linear(p, "head")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of every step."""
        return self.head(self.cell(x)[0])

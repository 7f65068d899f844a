"""PyTorch with a compiled network."""

from __future__ import annotations

import torch

from benchmarks.contestants import Case, Step
from benchmarks.contestants.torch import setup as setup_torch


def setup(case: Case) -> Step:
    """Return the step of the compiled twin."""
    return setup_torch(case, torch.compile)

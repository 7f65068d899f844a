"""Counterparts in PyTorch: for each catalog entry, torch's own functions of the same arguments.

`a` holds the arguments by name, `p` the tensors that the call declared: parameters, noise, tables,
in order. `a.weights` are the parameters of before that its formulas read.
A function returns None where torch has nothing for these arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bpgen.against.framework import Entry, Tensors
from bpgen.against.torch import (
    activations,
    affine,
    attention,
    losses,
    norms,
    recurrent,
    shapes,
    windows,
)

NAME = "torch"
ENTRIES: Mapping[str, Entry] = {
    **activations.ENTRIES,
    **affine.ENTRIES,
    **attention.ENTRIES,
    **losses.ENTRIES,
    **norms.ENTRIES,
    **recurrent.ENTRIES,
    **shapes.ENTRIES,
    **windows.ENTRIES,
}


def tensor(array: NDArray[Any]) -> Any:
    """Return an array as a tensor."""
    return torch.tensor(np.array(array))


def array(found: Any) -> NDArray[Any]:
    """Return a tensor as an array."""
    return np.asarray(found.detach().numpy())


def differentiated(
    loss_of: Callable[[Tensors], Any], at: Tensors
) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Return the loss, and its gradient by each of the tensors `at`, by torch's differentiation."""
    leaves = {name: found.clone().requires_grad_() for name, found in at.items()}
    loss = loss_of(leaves)
    slopes = torch.autograd.grad(
        loss, list(leaves.values()), allow_unused=True, materialize_grads=True
    )
    return loss, {name: array(slope) for name, slope in zip(leaves, slopes, strict=True)}

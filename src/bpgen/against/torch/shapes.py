"""Entries combined one by one, slices, and layers that lay entries out anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from bpgen.against.framework import Entry, Tensors


def _sliced(a: Any, _: Tensors) -> Any:
    """Torch has no slices that run backwards."""
    marks = a.indices if isinstance(a.indices, tuple) else (a.indices,)
    steps = [mark.step or 1 for mark in marks if isinstance(mark, slice)]
    return a.x[a.indices] if min(steps, default=1) > 0 else None


ENTRIES: Mapping[str, Entry] = {
    "sum": lambda a, p: a.left + a.right,
    "difference": lambda a, p: a.left - a.right,
    "product": lambda a, p: a.left * a.right,
    "quotient": lambda a, p: a.left / a.right,
    "power": lambda a, p: a.left**a.right,
    "concatenate": lambda a, p: torch.cat(a.tensors, a.axis),
    "flatten": lambda a, p: a.x.flatten(1),
    "flip": lambda a, p: a.x.flip(a.axis),
    "reshape": lambda a, p: a.x.reshape(len(a.x), *a.extents),
    "roll": lambda a, p: a.x.roll(a.shift, a.axis),
    "sliced": _sliced,
    "transpose": lambda a, p: a.x.permute(a.axes) if a.axes else a.x.mT,
}

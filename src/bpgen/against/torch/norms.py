"""Normalisations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F  # noqa: N812  everyone's name for it

from bpgen.against.framework import Entry, Tensors


def _batch_norm(a: Any, p: Tensors) -> Any:
    return F.batch_norm(a.x, None, None, p["gain"], p["shift"], training=True, eps=a.eps)


def _instance_norm(a: Any, p: Tensors) -> Any:
    return F.instance_norm(a.x, weight=p["gain"], bias=p["shift"], eps=a.eps)


ENTRIES: Mapping[str, Entry] = {
    "batch_norm": _batch_norm,
    "group_norm": lambda a, p: F.group_norm(a.x, a.groups, p["gain"], p["shift"], eps=a.eps),
    "instance_norm": _instance_norm,
    "layer_norm": lambda a, p: F.layer_norm(a.x, a.x.shape[-1:], p["gain"], p["shift"], eps=a.eps),
    "rms_norm": lambda a, p: F.rms_norm(a.x, a.x.shape[-1:], p["gain"], eps=a.eps),
}

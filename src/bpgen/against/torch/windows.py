"""Convolutions, pools, and what enlarges an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F  # noqa: N812  everyone's name for it

from bpgen.against.framework import Entry, Tensors

_LINEAR = ("linear", "bilinear", "trilinear")


def _convolution(function: Callable[..., Any]) -> Entry:
    def apply(a: Any, p: Tensors) -> Any:
        return function(a.x, p["W"], p.get("b"), a.stride, a.padding, a.dilation, a.groups)

    return apply


def _transposed(a: Any, p: Tensors) -> Any:
    more = (a.output_padding, a.groups, a.dilation)
    return F.conv_transpose2d(a.x, p["W"], p.get("b"), a.stride, a.padding, *more)


def _pool(a: Any, kind: str, *options: Any) -> Any:
    """In three axes torch refuses a window that is larger than an axis without its padding."""
    rank = a.x.ndim - 2
    sides = a.kernel if isinstance(a.kernel, tuple) else (a.kernel,) * rank
    if rank == 3 and any(k > e for k, e in zip(sides, a.x.shape[2:], strict=True)):
        return None
    return getattr(F, f"{kind}_pool{rank}d")(a.x, a.kernel, a.stride, a.padding, *options)


def _adaptive(a: Any, _: Tensors) -> Any:
    return getattr(F, f"adaptive_avg_pool{a.x.ndim - 2}d")(a.x, a.size)


def _upsample(a: Any, _: Tensors) -> Any:
    mode = a.mode if a.mode == "nearest" else _LINEAR[a.x.ndim - 3]
    return F.interpolate(a.x, scale_factor=a.factor, mode=mode)


def _pad(a: Any, _: Tensors) -> Any:
    """Torch takes the sides of the last axis first."""
    sides = a.width if isinstance(a.width, tuple) else (a.width,) * (a.x.ndim - 2)
    pairs = [side if isinstance(side, tuple) else (side, side) for side in reversed(sides)]
    return F.pad(a.x, [n for pair in pairs for n in pair], value=a.value)


ENTRIES: Mapping[str, Entry] = {
    "adaptive_average_pool": _adaptive,
    "avg_pool": lambda a, p: _pool(a, "avg"),
    "conv1d": _convolution(F.conv1d),
    "conv2d": _convolution(F.conv2d),
    "conv3d": _convolution(F.conv3d),
    "conv_transpose2d": _transposed,
    "global_average_pool": lambda a, p: a.x.flatten(2).mean(-1),
    "global_max_pool": lambda a, p: a.x.flatten(2).amax(-1),
    "max_pool": lambda a, p: _pool(a, "max", a.dilation),
    "pad": _pad,
    "upsample": _upsample,
}

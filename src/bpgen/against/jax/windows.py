"""Convolutions, pools, and what enlarges an image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bpgen.against.framework import Entry, Tensors


def _each(value: Any, x: Any) -> tuple[Any, ...]:
    """Return an option of all spatial axes of x[n,c,…] as one for each."""
    return value if isinstance(value, tuple) else (value,) * (x.ndim - 2)


def _biased(z: Any, p: Tensors) -> Any:
    return z + jnp.expand_dims(p["b"], tuple(range(1, z.ndim - 1))) if "b" in p else z


def _convolved(a: Any, p: Tensors) -> Any:
    z = jax.lax.conv_general_dilated(
        a.x,
        p["W"],
        _each(a.stride, a.x),
        [(side, side) for side in _each(a.padding, a.x)],
        rhs_dilation=_each(a.dilation, a.x),
        feature_group_count=a.groups,
    )
    return _biased(z, p)


def _transposed(a: Any, p: Tensors) -> Any:
    """Convolve pixels that lie `stride` apart with the kernel read backwards."""
    channels, filters, *sides = p["W"].shape
    W = p["W"].reshape(a.groups, channels // a.groups, filters, *sides)
    W = jnp.flip(jnp.swapaxes(W, 1, 2).reshape(-1, channels // a.groups, *sides), (2, 3))
    options = (sides, *(_each(v, a.x) for v in (a.dilation, a.padding, a.output_padding)))
    room = [
        (gap * (side - 1) - padding, gap * (side - 1) - padding + more)
        for side, gap, padding, more in zip(*options, strict=True)
    ]
    z = jax.lax.conv_general_dilated(
        a.x,
        W,
        (1, 1),
        room,
        lhs_dilation=_each(a.stride, a.x),
        rhs_dilation=_each(a.dilation, a.x),
        feature_group_count=a.groups,
    )
    return _biased(z, p)


def _windows(a: Any, combine: Any, empty: float, dilation: Any = 1) -> Any:
    kernel = _each(a.kernel, a.x)
    stride = _each(a.kernel if a.stride is None else a.stride, a.x)
    padding = [(side, side) for side in _each(a.padding, a.x)]
    return jax.lax.reduce_window(
        a.x,
        empty,
        combine,
        (1, 1, *kernel),
        (1, 1, *stride),
        [(0, 0), (0, 0), *padding],
        window_dilation=(1, 1, *_each(dilation, a.x)),
    )


def _average(a: Any, _: Tensors) -> Any:
    return _windows(a, jax.lax.add, 0.0) / math.prod(_each(a.kernel, a.x))


def _adaptive(a: Any, _: Tensors) -> Any:
    """Cut out the windows one by one, along one axis after the other."""
    y = a.x
    for axis, count in enumerate(_each(a.size, a.x), start=2):
        extent = y.shape[axis]
        ends = [(j * extent // count, -(-(j + 1) * extent // count)) for j in range(count)]
        windows = (jax.lax.slice_in_dim(y, *end, axis=axis) for end in ends)
        y = jnp.concatenate([w.mean(axis, keepdims=True) for w in windows], axis)
    return y


def _upsample(a: Any, _: Tensors) -> Any:
    factors = _each(a.factor, a.x)
    sizes = [e * f for e, f in zip(a.x.shape[2:], factors, strict=True)]
    return jax.image.resize(a.x, (*a.x.shape[:2], *sizes), a.mode)


def _pad(a: Any, _: Tensors) -> Any:
    sides = [side if isinstance(side, tuple) else (side, side) for side in _each(a.width, a.x)]
    return jnp.pad(a.x, [(0, 0), (0, 0), *sides], constant_values=a.value)


ENTRIES: Mapping[str, Entry] = {
    "adaptive_average_pool": _adaptive,
    "avg_pool": _average,
    "conv1d": _convolved,
    "conv2d": _convolved,
    "conv3d": _convolved,
    "conv_transpose2d": _transposed,
    "global_average_pool": lambda a, p: a.x.mean(range(2, a.x.ndim)),
    "global_max_pool": lambda a, p: a.x.max(range(2, a.x.ndim)),
    "max_pool": lambda a, p: _windows(a, jax.lax.max, -jnp.inf, a.dilation),
    "pad": _pad,
    "upsample": _upsample,
}

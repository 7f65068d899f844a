"""Entries combined one by one, slices, and layers that lay entries out anew."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp

from bpgen.against.framework import Entry

ENTRIES: Mapping[str, Entry] = {
    "sum": lambda a, p: jnp.add(a.left, a.right),
    "difference": lambda a, p: jnp.subtract(a.left, a.right),
    "product": lambda a, p: jnp.multiply(a.left, a.right),
    "quotient": lambda a, p: jnp.divide(a.left, a.right),
    "power": lambda a, p: jnp.power(a.left, a.right),
    "concatenate": lambda a, p: jnp.concatenate(a.tensors, a.axis),
    "flatten": lambda a, p: a.x.reshape(len(a.x), -1),
    "flip": lambda a, p: jnp.flip(a.x, a.axis),
    "reshape": lambda a, p: a.x.reshape(len(a.x), *a.extents),
    "roll": lambda a, p: jnp.roll(a.x, a.shift, a.axis),
    "sliced": lambda a, p: a.x[a.indices],
    "transpose": lambda a, p: jnp.transpose(a.x, a.axes) if a.axes else a.x.mT,
}

"""Counterparts in JAX: for each catalog entry, the functions of jax.nn, jax.lax and jax.numpy.

`a` holds the arguments by name, `p` the tensors that the call declared: parameters, noise, tables,
in order. `a.weights` are the parameters of before that its formulas read.
A function returns None where JAX has nothing for these arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bpgen.against.framework import Entry, Tensors
from bpgen.against.jax import (
    activations,
    affine,
    attention,
    losses,
    norms,
    recurrent,
    shapes,
    windows,
)

NAME = "jax"
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
    """Return an array as jax has it, in float64."""
    jax.config.update("jax_enable_x64", True)  # noqa: FBT003  the name says what it is
    return jnp.asarray(array)


def array(found: Any) -> NDArray[Any]:
    """Return an array of numpy."""
    return np.asarray(found)


def differentiated(
    loss_of: Callable[[Tensors], Any], at: Tensors
) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Return the loss, and its gradient by each of the tensors `at`, compiled as one function."""
    loss, slopes = jax.jit(jax.value_and_grad(loss_of))({**at})
    return loss, {name: array(slopes[name]) for name in at}

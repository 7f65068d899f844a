"""Data sets that are made when they are asked for: one file each, found by its place.

In: the declared inputs of a model, for what their extents decide. Out: arrays by the names of
inputs. True at the door: the same call gives the same arrays, and row i of each belongs to
example i.

A generator is a function of its module's name; with another seed it makes other rows of the same
kind.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from bpgen.ir.tensor import Tensor

Arrays = dict[str, NDArray[Any]]
Declared = Mapping[str, Tensor]


def generators() -> tuple[str, ...]:
    """Return the names of the data sets that are made."""
    return tuple(sorted(found.name for found in pkgutil.iter_modules(__path__)))


def generated(name: str, inputs: Declared) -> Arrays:
    """Return the arrays of the data set `name` for a model with these inputs."""
    make = getattr(import_module(f"{__name__}.{name}"), name)
    arrays: Arrays = make(inputs)
    return arrays

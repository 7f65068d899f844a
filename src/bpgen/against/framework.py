"""What a package of counterparts offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from bpgen.verify.numbers import Array

Tensors = Mapping[str, Any]
# A counterpart: of the arguments, as attributes, and of the tensors that the call declared.
Entry = Callable[[Any, Tensors], Any]


class Framework(Protocol):
    """A table of counterparts, how arrays come and go, and how gradients are taken."""

    NAME: str
    ENTRIES: Mapping[str, Entry]

    def tensor(self, array: Array) -> Any:
        """Return an array as the framework has it, in float64 where it is real."""

    def array(self, tensor: Any) -> Array:
        """Return a tensor of the framework as an array."""

    def differentiated(
        self, loss_of: Callable[[Tensors], Any], at: Tensors
    ) -> tuple[Any, Mapping[str, Array]]:
        """Return the value of `loss_of` and its gradient by each of the tensors `at`, by name."""


def halves(p: Tensors) -> tuple[list[Any], list[Any]]:
    """Return what a call of two like layers declared, layer by layer, in order."""
    tensors = [*p.values()]
    half = len(tensors) // 2
    return tensors[:half], tensors[half:]

"""What a trained model of the zoo has learned, as a picture and a sentence: one model, one file.

In: an emitted module, its parameters, and rows it was not trained on. Out: a figure, and one line
that measures what the figure shows. True at the door: what is drawn comes from the emitted module.

A picture is the function `draw` of the file that is called as its model; a model without a file has
none.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from bpgen.execute.load import Emitted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Arrays = Mapping[str, NDArray[Any]]


class Draw(Protocol):
    """How a picture is drawn."""

    def __call__(self, figure: Figure, net: Emitted, params: Any, test: Arrays) -> str:
        """Draw on `figure` what `net` does with `params`; return what it shows in one line."""


def picture_of(model: str) -> Draw | None:
    """Return how the picture of the zoo model called so is drawn, or None if it has none."""
    if model not in {found.name for found in pkgutil.iter_modules(__path__)}:
        return None
    draw: Draw = import_module(f"{__name__}.{model}").draw
    return draw

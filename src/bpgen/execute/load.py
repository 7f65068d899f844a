"""Import an emitted file by its path, as any program could."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any, Protocol, cast

from numpy.typing import NDArray

_numbers = itertools.count(1)


class Training(Protocol):
    """Parameters in training: one `step` is forward, backward and update."""

    params: Any
    grads: Any
    batch: int
    seed: int
    steps: int

    def step(self, **batch: NDArray[Any]) -> float:
        """Train on one batch and return its loss."""

    def profile(self, *, steps: int = 10, **batch: Any) -> dict[tuple[str, str], float]:
        """Return the seconds that a step spends at each formula of each function."""


class Emitted(Protocol):
    """What every emitted module offers, whatever it computes."""

    PARAMETERS: Mapping[str, tuple[int, ...]]
    INPUTS: Mapping[str, tuple[tuple[int, ...], int | None]]
    OUTPUTS: tuple[str, ...]
    DTYPE: str

    def init(self, seed: int = 0) -> Any:
        """Return parameters as training starts with them."""

    def Params(self, flat: NDArray[Any] | None = None) -> Any:  # noqa: N802  it is a class
        """Return parameters as named views into `flat`."""

    def Grads(self, flat: NDArray[Any]) -> Any:  # noqa: N802  it is a class
        """Return a gradient, or a direction, as named views into `flat`."""

    def Hessian(self, params: Any, **batch: Any) -> Any:  # noqa: N802  it is a class
        """Return the second derivatives of the loss of a batch, where they were asked for."""

    def hvp(self, params: Any, v: Any, **batch: Any) -> Any:
        """Return the Hessian of the loss of a batch times `v`, where it was asked for."""

    def example(self, N: int, seed: int = 0) -> dict[str, NDArray[Any]]:
        """Return a batch of N random examples."""

    def loss_and_grad(self, params: Any, **batch: Any) -> tuple[float, Any]:
        """Return the loss of a batch and the gradient of every parameter."""

    def loss(self, params: Any, **batch: NDArray[Any]) -> float:
        """Return the loss of a batch as prediction computes it."""

    def predict(self, params: Any, **inputs: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        """Return the outputs by name."""

    def Trainer(self, params: Any, batch: int = 64, seed: int = 0, **shared: int) -> Training:  # noqa: N802  it is a class
        """Return a trainer at step 0; `threads` share its batches, if the examples allow it."""

    def save(self, path: str | Path, trainer: Training) -> None:
        """Write a checkpoint."""

    def load(self, path: str | Path, **shared: int) -> Training:
        """Read a checkpoint."""


class _FromSource(SourceFileLoader):
    """Compile the file anew: the bytecode cache misses a rewrite within one second."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the file as it is now."""
        del fullname
        return self.source_to_code(self.get_data(self.path), self.path)


def load_module(path: Path) -> Emitted:
    """Import the emitted file at `path` under a name of its own, and return the module."""
    name = f"{path.stem}_{next(_numbers)}"
    spec = spec_from_file_location(name, path, loader=_FromSource(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return cast("Emitted", module)

"""Who takes the steps: one file each, whose `setup` returns a function that takes one step.

A step is forward, backward and update on the same batch, in float32, and returns the loss before
the update as a Python number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmarks.workload import Workload

Step = Callable[[], float]
TITLES = {
    "bpgen": "bpgen",
    "torch": "PyTorch eager",
    "torch_compile": "torch.compile",
    "jax": "JAX jit",
    "sklearn": "scikit-learn",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A workload with its numbers: a folder with the emitted module, first values and a batch."""

    workload: Workload
    folder: Path
    threads: int

    @property
    def module(self) -> Path:
        """Return the path of the emitted module."""
        return self.folder / f"{self.workload.model}_numpy.py"

    def params(self) -> dict[str, np.ndarray]:
        """Return the first values of the parameters, in declared order."""
        return _read(self.folder / "params.npz")

    def batch(self) -> dict[str, np.ndarray]:
        """Return the inputs and the labels, by name and in this order."""
        return _read(self.folder / "batch.npz")


class Contestant(Protocol):
    """What each file offers."""

    def setup(self, case: Case) -> Step:
        """Return a function that takes one step and returns its loss."""


def _read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)

"""What training has reached, epoch by epoch: one line of JSON each, for any tool to read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Score:
    """The mean loss over some rows, and the fraction of labels that the largest output hits."""

    loss: float
    accuracy: float | None = None

    def __str__(self) -> str:
        """Return `loss 0.1234, accuracy 97.50 %`."""
        text = f"loss {self.loss:.4g}"
        return text if self.accuracy is None else f"{text}, accuracy {self.accuracy:.2%}"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One passage through the training rows: its number from 1, the steps so far, the scores.

    `train` is the mean over the steps of the epoch, `validation` the score at its end.
    """

    number: int
    steps: int
    train: Score
    validation: Score


def append(path: Path, epoch: Epoch) -> None:
    """Add `epoch` to the log at `path`."""
    with path.open("a", encoding="utf-8") as log:
        log.write(json.dumps(asdict(epoch)) + "\n")


def read(path: Path, *, steps: int) -> list[Epoch]:
    """Return the epochs of the log at `path` that were complete after `steps` steps."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    entries = [json.loads(line) for line in lines if line.endswith("\n")]  # else cut by a crash
    epochs = [
        Epoch(e["number"], e["steps"], Score(**e["train"]), Score(**e["validation"]))
        for e in entries
    ]
    return [epoch for epoch in epochs if epoch.steps <= steps]


def rewrite(path: Path, epochs: Sequence[Epoch]) -> None:
    """Start the log at `path` with `epochs`."""
    path.write_text("", encoding="utf-8")
    for epoch in epochs:
        append(path, epoch)

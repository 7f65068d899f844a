"""The folder of a run, and what lies in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """The folder that a training of the model `name` fills."""

    folder: Path
    name: str

    @property
    def derivation(self) -> Path:
        """Return the written derivation."""
        return self.folder / "derivation.md"

    @property
    def module(self) -> Path:
        """Return the emitted module."""
        return self.folder / f"{self.name}_numpy.py"

    @property
    def log(self) -> Path:
        """Return the log: one line of JSON for each epoch."""
        return self.folder / "log.jsonl"

    @property
    def curve(self) -> Path:
        """Return the picture of the log."""
        return self.folder / "curve.svg"

    @property
    def picture(self) -> Path:
        """Return the picture of what the model has learned, if it has one."""
        return self.folder / "picture.svg"

    @property
    def best(self) -> Path:
        """Return the checkpoint with the lowest loss on the validation rows."""
        return self.folder / "best.npz"

    @property
    def last(self) -> Path:
        """Return the checkpoint to continue from."""
        return self.folder / "last.npz"

    def clean(self) -> None:
        """Remove what a run that was killed had begun to write."""
        for part in self.folder.glob("*.part"):
            part.unlink()

    def parts(self) -> dict[str, Path]:
        """Return everything in the folder, by what it is."""
        picture = {"picture": self.picture} if self.picture.exists() else {}
        return {
            "derivation": self.derivation,
            "module": self.module,
            "log": self.log,
            "curve": self.curve,
            **picture,
            "best": self.best,
            "last": self.last,
        }

"""Where emitted modules belong, and how they are written: a whole file, or none."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from bpgen.errors import FileError

FOLDER = Path("generated")


def default_path(name: str, target: str) -> Path:
    """Return `generated/<model>_<target>.py`, in the current folder."""
    return FOLDER / f"{name}_{target}.py"


def write(path: Path, text: str) -> None:
    """Write `text` to `path`: to a file beside it first, which then takes its name.

    Errors: FileError if the folder cannot be made or the file cannot be written; what was there stays.
    """
    part = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with open(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o666 & ~_umask())
        Path(part).replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(part).unlink(missing_ok=True)
        raise FileError(
            f"{path} cannot be written",
            disagree=error.strerror or str(error),
            way_out="Give another path with -o, or free the folder.",
        ) from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

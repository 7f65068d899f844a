"""Where emitted modules belong, and how they are written: a whole file, or none."""

from __future__ import annotations

import contextlib
import difflib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bpgen.errors import FileError

FOLDER = Path("generated")


def default_path(name: str, target: str) -> Path:
    """Return `generated/<model>_<target>.py`, in the current folder."""
    return FOLDER / f"{name}_{target}.py"


def write(path: Path, text: str) -> None:
    """Write `text` to `path`: to a file beside it first, which then takes its name.

    Errors: FileError if the folder or the file cannot be written; what was there stays.
    """
    part = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(part).chmod(0o666 & ~_umask())
        Path(part).replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(part).unlink(missing_ok=True)
        raise FileError(
            f"{path} cannot be written",
            disagree=error.strerror or str(error),
            way_out="Give another path with -o, or free the folder.",
        ) from None


def outdated(modules: Mapping[Path, str], *, whole_folder: bool = False) -> str:
    """Return how the files differ from what they should be, as a diff; empty if all is fresh.

    With `whole_folder` a file beside them that no model emits is reported too.
    """
    found = [_difference(path, text) for path, text in modules.items()]
    if whole_folder:
        folders = {path.parent for path in modules}
        there = {p for folder in folders for p in folder.glob("*.py")}
        found += [f"{path}: no model emits this file\n" for path in sorted(there - set(modules))]
    return "".join(found)


def _difference(path: Path, text: str) -> str:
    try:
        old = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return f"{path}: missing\n"
    lines = difflib.unified_diff(
        old.splitlines(keepends=True),
        text.splitlines(keepends=True),
        str(path),
        f"{path} (as it is emitted now)",
    )
    return "".join(lines)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

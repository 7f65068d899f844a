"""Run a model file, and turn what goes wrong into errors that name its lines."""

from __future__ import annotations

import difflib
import linecache
import traceback
from pathlib import Path
from typing import Any

from bpgen.errors import BpgenError, LoadError, MissingFileError
from bpgen.ir.source import SourceLine

ZOO = Path(__file__).resolve().parents[1] / "zoo"


def zoo() -> tuple[str, ...]:
    """Return the names of the models that ship with bpgen."""
    return tuple(sorted(p.stem for p in ZOO.glob("*.py") if p.stem != "__init__"))


def locate(name: str | Path) -> Path:
    """Return the path of a model file, or of the zoo model called `name`.

    Errors: MissingFileError, with the nearest names.
    """
    path = Path(name)
    if path.is_file():
        return path
    if str(name) in zoo():
        return ZOO / f"{name}.py"
    near = difflib.get_close_matches(str(name), [*zoo(), *(p.name for p in Path().glob("*.py"))])
    raise MissingFileError(
        f"there is no model file `{name}`",
        disagree="it is a folder" if path.is_dir() else "",
        rule="A model is a file, or the name of a zoo model: " + ", ".join(zoo()) + ".",
        way_out=f"Did you mean {near[0]}?"
        if near
        else "`bpgen new NAME` writes a model.py to start from.",
    )


def run(path: Path) -> dict[str, Any]:
    """Run a model file and return what it defines.

    Errors: LoadError where Python refuses it or it raises; a BpgenError as it is.
    """
    values: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        text = path.read_text(encoding="utf-8")
        linecache.checkcache(str(path))
        exec(compile(text, str(path), "exec"), values)  # noqa: S102  a model file is code, and runs as such
    except BpgenError:
        raise
    except SyntaxError as error:
        where = SourceLine(str(path), error.lineno or 1)
        raise LoadError(f"{path.name} is not Python: {error.msg}", where=where) from None
    except (OSError, UnicodeDecodeError) as error:
        raise LoadError(f"{path.name} cannot be read: {error}") from None
    except (Exception, SystemExit) as error:
        raise LoadError(
            f"{path.name} raises {type(error).__name__}: {error}", where=_line_of(error, path)
        ) from error
    return values


def _line_of(error: BaseException, path: Path) -> SourceLine | None:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if f.filename == str(path)]
    return SourceLine(str(path), lines[-1] or 1) if lines else None

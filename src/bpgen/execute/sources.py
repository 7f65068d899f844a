"""Where data come from: a built-in name, an npz, a table, npy files; each gives arrays by name.

A built-in data set is held as an npz, or made by a generator.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bpgen.errors import DataFileError, MissingInputError, nearest
from bpgen.execute import table
from bpgen.generators import generated, generators
from bpgen.ir.tensor import Tensor

Arrays = dict[str, NDArray[Any]]

_ACCEPTED = "an .npz, a .csv, a folder of .npy files, or input=file.npy for each input"


def built_in() -> dict[str, Path]:
    """Return the data sets that are held with bpgen: their names and files."""
    folder = Path(str(files("bpgen") / "data"))
    return {path.stem: path for path in sorted(folder.glob("*.npz"))}


def known() -> tuple[str, ...]:
    """Return the names of the data sets that ship with bpgen, held or made."""
    return tuple(sorted([*built_in(), *generators()]))


def arrays(given: Sequence[str], inputs: Sequence[Tensor], label: Sequence[str]) -> Arrays:
    """Return the arrays that `given` names, by name, one for each of `inputs`.

    Errors: DataFileError if a file is missing or unreadable; MissingInputError if an input has no
    array; TableError.
    """
    if any("=" in source for source in given):
        found = _named_files(given)
    elif len(given) == 1:
        found = _source(given[0], inputs, label)
    else:
        raise DataFileError(
            f"--data names {len(given)} sources",
            disagree=", ".join(given),
            way_out=f"Give one source, or {_ACCEPTED.rpartition(', or ')[2]}.",
        )
    return {t.name: _array_of(t, found, " ".join(given)) for t in inputs}


def _array_of(tensor: Tensor, found: Arrays, source: str) -> NDArray[Any]:
    if tensor.name not in found:
        raise MissingInputError(
            f"{source} has no array for the input `{tensor.name}`",
            where=tensor.where,
            disagree=f"it holds {', '.join(sorted(found)) or 'nothing'}",
            rule="Arrays have the names of the model's inputs.",
            way_out=nearest(tensor.name, found) + " Rename the array, or the input.",
        )
    return found[tensor.name]


def _source(source: str, inputs: Sequence[Tensor], label: Sequence[str]) -> Arrays:
    if source in generators():
        return generated(source, {t.name: t for t in inputs})
    path = Path(built_in().get(source, source))
    if path.is_dir():
        return {file.stem: _one(file) for file in sorted(path.glob("*.npy"))}
    _check_exists(path)
    match path.suffix.lower():
        case ".npz":
            return _load(path)
        case ".csv":
            return table.arrays(path, inputs, label)
        case ".npy" if len(inputs) == 1:
            return {inputs[0].name: _one(path)}
        case ".npy":
            names = " ".join(f"--data {t.name}=….npy" for t in inputs)
            raise DataFileError(
                f"{path.name} holds one array, the model takes {len(inputs)}",
                way_out=f"Give one file for each: {names}.",
            )
        case suffix:
            raise DataFileError(
                f"{path.name} has a format that bpgen does not read",
                disagree=f"it ends in {suffix or 'nothing'}; --data takes {_ACCEPTED}",
                way_out="Convert it: numpy.savez('data.npz', x=…, y=…).",
            )


def _named_files(given: Sequence[str]) -> Arrays:
    pairs = [source.partition("=")[::2] for source in given]
    return {name: _one(Path(file)) for name, file in pairs}


def _check_exists(path: Path) -> None:
    if path.is_file():
        return
    beside = [
        file.name for file in path.parent.glob("*") if file.suffix in {".npz", ".csv", ".npy"}
    ]
    raise DataFileError(
        f"there is no data file {path}",
        rule=f"--data takes {', '.join(known())}, {_ACCEPTED}.",
        way_out=nearest(path.name, [*known(), *beside]),
    )


def _one(path: Path) -> NDArray[Any]:
    """Return the one array of the file at `path`."""
    _check_exists(path)
    found = _load(path)
    if len(found) != 1:
        raise DataFileError(
            f"{path.name} holds {len(found)} arrays where one is wanted",
            disagree=f"they are {', '.join(found)}",
            way_out=f"Give it alone: --data {path}.",
        )
    return next(iter(found.values()))


def _load(path: Path) -> Arrays:
    """Return the arrays of the file at `path` by name; a lone one has the name of the file."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {path.stem: loaded}
            return {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise DataFileError(
            f"{path.name} cannot be read",
            disagree=str(error).partition("\n")[0],
            rule="Data are plain arrays of numbers; arrays of Python objects are refused.",
            way_out="Write it again: numpy.savez('data.npz', x=…, y=…).",
        ) from error

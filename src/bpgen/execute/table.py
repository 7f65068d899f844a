"""A csv as arrays: which columns belong to which input, and each cell as a number."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bpgen.errors import DataFileError, TableError, UnknownNameError, nearest
from bpgen.ir.tensor import Tensor


def arrays(path: Path, inputs: Sequence[Tensor], label: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return one array for each of `inputs` from the columns of the table at `path`.

    A column named as an input goes to that input, the columns `label` to the label or the target,
    and the rest, in order, to the one remaining input.
    Errors: TableError with line and column; UnknownNameError if `label` is not a column.
    """
    header, rows = _cells(path)
    columns = _columns(path, header, inputs, label)
    numbers = np.array(rows, dtype=np.float64).reshape(len(rows), len(header))
    found = {}
    for tensor in inputs:
        array = numbers[:, columns[tensor.name]]
        is_flat = len(tensor.shape) == 1 and array.shape[1] == 1
        found[tensor.name] = array[:, 0] if is_flat else array
    return found


def _columns(
    path: Path, header: list[str], inputs: Sequence[Tensor], label: Sequence[str]
) -> dict[str, list[int]]:
    """Return the numbers of the columns for each input, by name."""
    for name in label:
        if name not in header:
            raise UnknownNameError(
                f"{path.name} has no column `{name}`", way_out=nearest(name, header)
            )
    columns = {t.name: [header.index(t.name)] for t in inputs if t.name in header}
    if label:
        target = next((t for t in inputs if t.is_integer), inputs[-1])
        columns[target.name] = [header.index(name) for name in label]
    used = {i for places in columns.values() for i in places}
    rest = [i for i in range(len(header)) if i not in used]
    missing = [t for t in inputs if t.name not in columns]
    if len(missing) > 1:
        names = ", ".join(f"`{t.name}`" for t in missing)
        raise TableError(
            f"{path.name} does not say which columns are {names}",
            where=missing[-1].where,
            disagree=f"the columns are {', '.join(header)}",
            rule="A column named as an input goes to it, the rest go to one other input.",
            way_out="Give --label COLUMN.",
        )
    return columns | {t.name: rest for t in missing}


def _cells(path: Path) -> tuple[list[str], list[list[float]]]:
    """Return the names of the columns, and the rows as numbers."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            lines = csv.reader(file, delimiter=max(",;\t", key=first.count))
            header = [name.strip() for name in next(lines, [])]
            _check_header(path, header)
            return header, list(_numbers(path, header, lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataFileError(
            f"{path.name} cannot be read as a table",
            disagree=str(error),
            way_out="Save it as comma-separated text in UTF-8.",
        ) from error


def _check_header(path: Path, header: list[str]) -> None:
    twice = [name for name in header if header.count(name) > 1]
    if twice or all(_is_number(name) for name in header):
        found = f"it names `{twice[0]}` twice" if twice else "it holds no names"
        raise TableError(
            f"{path.name}, line 1: not the names of columns",
            disagree=f"{found}: {','.join(header)}",
            rule="The first line names the columns, each once.",
            way_out="Put a line such as x1,x2,class in front.",
        )


def _numbers(path: Path, header: list[str], lines: Iterator[list[str]]) -> Iterator[list[float]]:
    for number, cells in enumerate(lines, start=2):
        if not cells:
            continue
        if len(cells) != len(header):
            raise TableError(
                f"{path.name}, line {number}: another number of cells than columns",
                disagree=f"{len(cells)} cells, {len(header)} columns",
                way_out="Complete or delete the line; quote a cell that holds a comma.",
            )
        yield [_number(path, number, *cell) for cell in zip(header, cells, strict=True)]


def _number(path: Path, line: int, column: str, cell: str) -> float:
    if _is_number(cell):
        return float(cell)
    decimal = _is_number(cell.replace(",", ".", 1))
    raise TableError(
        f"{path.name}, line {line}, column `{column}`: not a number",
        disagree=f"the cell is {cell!r}",
        rule="Every cell is a number with a decimal point.",
        way_out="Write a point for the decimal comma."
        if decimal
        else "Fill in empty cells, and number the classes of a text from 0.",
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

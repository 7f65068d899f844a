"""What must be true of data before a step is taken: shapes, lengths, finite, labels in range."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bpgen.errors import DataShapeError, LabelError, LengthError, NotANumberError, TooFewRowsError
from bpgen.ir.tensor import Tensor


def validated(
    arrays: Mapping[str, NDArray[Any]], inputs: Sequence[Tensor], dtype: str
) -> Iterator[tuple[Tensor, NDArray[Any]]]:
    """Yield each input with its array: floats in `dtype`, labels as integers.

    Errors: DataShapeError, NotANumberError, LabelError, LengthError, TooFewRowsError.
    """
    for tensor in inputs:
        array = arrays[tensor.name]
        _check_numbers(tensor, array)
        _check_shape(tensor, array)
        _check_length(tensor, array, inputs[0].name, arrays[inputs[0].name])
        yield tensor, _labels(tensor, array) if tensor.is_integer else _floats(tensor, array, dtype)


def _check_numbers(tensor: Tensor, array: NDArray[Any]) -> None:
    if array.dtype.kind not in "biuf":
        raise NotANumberError(
            f"the data for `{tensor.name}` are not real numbers",
            where=tensor.where,
            disagree=f"the array holds {array.dtype}",
            way_out="Write them as numbers; number the classes of a label from 0.",
        )


def _check_shape(tensor: Tensor, array: NDArray[Any]) -> None:
    row = tensor.shape[1:]
    if array.shape[1:] == row and array.ndim:
        return
    if tensor.below is not None and array.shape[1:] == (*row, tensor.below):
        raise LabelError(
            f"the labels `{tensor.name}` look one-hot",
            where=tensor.where,
            disagree=f"declared {_shape(row)}, found {_shape(array.shape[1:])}",
            rule="A label is one integer for each example.",
            way_out=f"Give {tensor.name}.argmax(axis=-1).",
        )
    same = array.ndim and prod(array.shape[1:]) == prod(size or 1 for size in row)
    sizes = ", ".join(map(str, row))
    raise DataShapeError(
        f"the data for `{tensor.name}` have another shape than declared",
        where=tensor.where,
        disagree=f"declared {_shape(row)}, found {_shape(array.shape[1:])}",
        rule="The first axis counts examples; the others are those of the declaration.",
        way_out=f"Give {tensor.name}.reshape(-1, {sizes})."
        if same
        else "Declare the shape that the data have, or give other data.",
    )


def _check_length(tensor: Tensor, array: NDArray[Any], first: str, reference: NDArray[Any]) -> None:
    if len(array) != len(reference):
        raise LengthError(
            f"`{tensor.name}` and `{first}` have different lengths",
            where=tensor.where,
            disagree=f"{len(array)} rows of `{tensor.name}`, {len(reference)} rows of `{first}`",
            rule="Row i of every array belongs to example i.",
            way_out="Give as many rows of each.",
        )
    if len(array) == 0:
        raise TooFewRowsError(
            f"the data for `{tensor.name}` are empty",
            where=tensor.where,
            disagree=f"the array has shape {array.shape}",
            way_out="Give at least one row for each batch, validation and test.",
        )


def _floats(tensor: Tensor, array: NDArray[Any], dtype: str) -> NDArray[Any]:
    _check_finite(tensor, array)
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(array, dtype=dtype)
    _check_finite(tensor, cast)
    return cast


def _check_finite(tensor: Tensor, array: NDArray[Any]) -> None:
    finite = np.isfinite(array)
    if finite.all():
        return
    row, *column = (int(i) for i in np.argwhere(~finite)[0])
    place = f"row {row}" + (f", column {', '.join(map(str, column))}" if column else "")
    raise NotANumberError(
        f"the data for `{tensor.name}` have {int((~finite).sum())} entries that are not finite",
        where=tensor.where,
        disagree=f"the first is {array[(row, *column)]} at {place}, counted from 0",
        rule="One such entry makes the loss NaN.",
        way_out="Drop these rows, or fill in the mean of the column.",
    )


def _labels(tensor: Tensor, array: NDArray[Any]) -> NDArray[np.int64]:
    assert tensor.below is not None
    _check_finite(tensor, array)
    with np.errstate(invalid="ignore"):
        labels = array.astype(np.int64)
    if (labels != array).any():
        bad = array[labels != array][0]
        raise _wrong_label(tensor, f"{bad} is not an integer", "Give integer classes.")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= tensor.below:
        from_one = low >= 1 and high == tensor.below
        raise _wrong_label(
            tensor,
            f"found {low} … {high}",
            f"They look counted from 1: subtract 1 from `{tensor.name}`."
            if from_one
            else "Declare as many classes as there are, or correct the labels.",
        )
    return labels


def _wrong_label(tensor: Tensor, found: str, way_out: str) -> LabelError:
    assert tensor.below is not None
    return LabelError(
        f"the labels `{tensor.name}` do not fit the declaration",
        where=tensor.where,
        disagree=f"declared 0 … {tensor.below - 1}; {found}",
        rule="A label is an integer, counted from 0.",
        way_out=way_out,
    )


def _shape(row: tuple[int | None, ...]) -> str:
    return f"({', '.join(['rows', *map(str, row)])})"

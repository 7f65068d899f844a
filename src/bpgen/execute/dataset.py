"""A data set: one array for each input of a model, row i of each belonging to example i."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bpgen.errors import TooFewRowsError
from bpgen.execute import sources
from bpgen.execute.validate import validated
from bpgen.ir.tensor import Tensor

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Arrays by the names of the inputs they are for, all of one length."""

    arrays: Arrays

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(next(iter(self.arrays.values())))

    def rows(self, which: Any) -> dict[str, NDArray[Any]]:
        """Return the rows `which` of every array, as a batch."""
        return {name: array[which] for name, array in self.arrays.items()}


@dataclass(frozen=True, slots=True)
class Split:
    """Three parts of one data set without a common row."""

    train: Dataset
    validation: Dataset
    test: Dataset


def read(
    given: Sequence[str], inputs: Sequence[Tensor], *, label: Sequence[str] = (), dtype: str
) -> Dataset:
    """Return the data that `--data` names, for the inputs of a model.

    `given` is one built-in name, file or folder, or several `input=file.npy`; `label` are the
    columns of a table that hold the label or the target.
    Errors: a DataError that names the file and the line of the declaration.
    """
    arrays = sources.arrays(given, inputs, label)
    return Dataset({t.name: array for t, array in validated(arrays, inputs, dtype)})


def split(dataset: Dataset, *, seed: int, batch: int) -> Split:
    """Return a tenth of the rows for validation, a tenth for the test, and the rest for training.

    Errors: TooFewRowsError if a part is empty, or the training part smaller than a batch.
    """
    tenth = max(1, round(len(dataset) / 10))
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(dataset))
    if len(dataset) - 2 * tenth < batch:
        raise TooFewRowsError(
            f"{len(dataset)} rows are too few",
            disagree=f"{tenth} validate and {tenth} test; of the other "
            f"{max(0, len(dataset) - 2 * tenth)} a batch takes {batch}",
            rule="Every step trains on a whole batch.",
            way_out="Give more rows, or a smaller --batch.",
        )
    parts = np.split(order, [tenth, 2 * tenth])
    validation, test, train = (Dataset(dataset.rows(part)) for part in parts)
    return Split(train, validation, test)


def batches(rows: int, *, batch: int, seed: int, epoch: int) -> NDArray[np.intp]:
    """Return the rows of each batch, whole batches only, in the order of this seed and epoch."""
    key = np.array([seed, epoch], dtype=np.uint64)
    order = np.random.Generator(np.random.Philox(key=key)).permutation(rows)
    return order[: rows // batch * batch].reshape(-1, batch)

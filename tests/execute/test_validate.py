"""Data that do not fit the declaration never reach a training step."""

import numpy as np
import pytest

import bpgen as bp
from bpgen.errors import (
    DataShapeError,
    LabelError,
    LengthError,
    NotANumberError,
    TooFewRowsError,
)
from bpgen.execute.validate import validated
from bpgen.ir.source import SourceLine
from bpgen.ir.tensor import Role, Tensor

N, D, C = 7, 3, 5
WHERE = SourceLine("model.py", 6)


def inputs():
    n, d = bp.input("x", D).indices
    return (
        Tensor("x", (n, d), Role.INPUT, where=WHERE),
        Tensor("y", (n,), Role.LABEL, below=C, where=WHERE),
    )


def good():
    return {"x": np.ones((N, D)), "y": np.arange(N) % C}


def spoilt(array, at, value):
    array = array.astype(float)
    array[at] = value
    return array


FAULTS = {
    "another width": ("x", np.ones((N, D + 1)), DataShapeError, "found (rows, 4)"),
    "images unflattened": ("x", np.ones((N, 1, D)), DataShapeError, "reshape(-1, 3)"),
    "a single number": ("x", np.array(1.0), DataShapeError, "declared (rows, 3)"),
    "not a number": (
        "x",
        spoilt(np.ones((N, D)), (2, 1), np.nan),
        NotANumberError,
        "row 2, column 1",
    ),
    "infinite": ("x", spoilt(np.ones((N, D)), (4, 0), np.inf), NotANumberError, "row 4, column 0"),
    "too large for the dtype": (
        "x",
        spoilt(np.ones((N, D)), (3, 2), 1e300),
        NotANumberError,
        "row 3",
    ),
    "text": ("x", np.full((N, D), "red"), NotANumberError, "not real numbers"),
    "complex": ("x", np.ones((N, D)) * 1j, NotANumberError, "not real numbers"),
    "other length": ("y", np.zeros(N - 1), LengthError, "6 rows of `y`, 7 rows of `x`"),
    "counted from 1": ("y", np.arange(N) % C + 1, LabelError, "counted from 1"),
    "above the range": ("y", np.arange(N), LabelError, "found 0 … 6"),
    "negative": ("y", -np.ones(N), LabelError, "found -1 … -1"),
    "fractions": ("y", np.full(N, 0.5), LabelError, "0.5 is not an integer"),
    "labels not a number": ("y", spoilt(np.zeros(N), 1, np.nan), NotANumberError, "row 1"),
    "huge": ("y", np.full(N, 1e300), LabelError, "is not an integer"),
    "one-hot": ("y", np.eye(C)[np.arange(N) % C], LabelError, "argmax"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_data_are_told_of_with_the_line_of_the_declaration(fault):
    name, array, kind, words = FAULTS[fault]
    with pytest.raises(kind) as caught:
        dict(validated(good() | {name: array}, inputs(), "float32"))
    assert words in str(caught.value)
    assert "model.py:6" in str(caught.value)
    assert caught.value.exit_status == 5


def test_empty_data_are_told_of():
    empty = {"x": np.ones((0, D)), "y": np.zeros(0)}
    with pytest.raises(TooFewRowsError, match="are empty"):
        dict(validated(empty, inputs(), "float32"))


def test_good_data_arrive_in_the_dtype_of_the_module():
    arrays = {t.name: array for t, array in validated(good(), inputs(), "float32")}
    assert arrays["x"].dtype == np.float32
    assert arrays["y"].dtype == np.int64

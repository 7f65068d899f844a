"""Write the shipped data sets from the copies in scikit-learn: python prepare.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_digits, load_wine


def standardised(table: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return `table` with mean 0 and standard deviation 1 in every column."""
    centred = table - table.mean(axis=0)
    return np.asarray(centred / table.std(axis=0), dtype=np.float32)


def data_sets() -> dict[str, dict[str, Any]]:
    """Return the arrays of each data set by the names of the inputs they are for."""
    digits, wine, diabetes = load_digits(), load_wine(), load_diabetes(scaled=False)
    return {
        "digits": {
            "x": (digits.data / 16).astype(np.float32),
            "digit": digits.target.astype(np.int64),
        },
        "wine": {"x": standardised(wine.data), "cultivar": wine.target.astype(np.int64)},
        "diabetes": {
            "x": standardised(diabetes.data),
            "y": standardised(diabetes.target[:, None]),
        },
    }


if __name__ == "__main__":
    for name, arrays in data_sets().items():
        np.savez_compressed(Path(__file__).with_name(f"{name}.npz"), **arrays)

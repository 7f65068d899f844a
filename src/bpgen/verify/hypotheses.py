"""What might be wrong with a cotangent: simple mistakes, each put to the test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from bpgen.verify.complex_step import SIGNIFICANT
from bpgen.verify.numbers import Array


def hypothesis(claimed: Array, true: Array, factors: Mapping[str, int]) -> str:
    """Return the first simple mistake that turns `true` into `claimed`.

    `factors` are extents by name: a sum or a mean too many.
    """
    for what, wrong in _mistakes(true, factors):
        if _same(claimed, wrong):
            return what
    return _where(claimed, true)


def _mistakes(true: Array, factors: Mapping[str, int]) -> Iterator[tuple[str, Array]]:
    yield "it is zero", 0 * true
    yield "its sign is wrong", -true
    for name, factor in {"2": 2, **factors}.items():
        yield f"a factor {name} too large" + _value(name, factor), true * factor
        yield f"a factor {name} too small" + _value(name, factor), true / factor
    if true.ndim == 2:
        yield "it is transposed", true.T.reshape(true.shape)


def _value(name: str, factor: int) -> str:
    return "" if name == str(factor) else f" ({name} = {factor})"


def _same(a: Array, b: Array) -> bool:
    return bool(np.abs(a - b).max() <= SIGNIFICANT * max(np.abs(a).max(), np.abs(b).max()))


def _where(claimed: Array, true: Array) -> str:
    """Return which entries are wrong, and the factor if they share one."""
    wrong = np.abs(claimed - true) > SIGNIFICANT * np.abs(true).max()
    for axis in range(true.ndim):
        places = np.unique(np.nonzero(wrong)[axis])
        if len(places) == 1 and true.shape[axis] > 1 and wrong.sum() > 1:
            return f"only the entries with index {places[0]} on axis {axis} are wrong"
    if wrong.sum() <= 1:
        return "only this entry is wrong"
    ratios = claimed[wrong & (true != 0)] / true[wrong & (true != 0)]
    if ratios.size and _same(ratios, np.full_like(ratios, ratios[0])):
        return f"a factor {ratios[0]:.6g} too large"
    return f"{wrong.sum()} of {wrong.size} entries are wrong, and no simple mistake explains them"

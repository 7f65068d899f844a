"""What a kernel is given, with NaN around it: what reads or writes beside its arrays shows.

Arrays lie side by side in one memory. So a kernel works on copies; arrays that overlap are parts of
one copy, as they are parts of one memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bpgen.device.fault import require

_GUARD, _ALIGNED = 512, 256  # bytes: on each side, and what addresses keep of their alignment


@contextmanager
def fenced(arrays: Sequence[NDArray[Any]], name: str) -> Iterator[tuple[NDArray[Any], ...]]:
    """Yield copies of arrays, which are written back when the kernel `name` is done.

    Errors: DeviceError if something was written before or behind them.
    """
    regions = [_Region(begin, end) for begin, end in _merged(map(_span, arrays))]
    yield tuple(next(r.seen(x) for r in regions if r.holds(x)) for x in arrays)
    for region in regions:
        require(region.is_intact(), f"{name} writes outside its arrays")
        region.write_back()


class _Region:
    """Bytes of memory from one address to another, and a copy of them with guards around it."""

    def __init__(self, begin: int, end: int) -> None:
        self._begin, size = begin, end - begin
        self._own = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(begin))
        self._raw = np.full(size + 2 * _GUARD + _ALIGNED, 0xFF, np.uint8)
        self._first = _GUARD + (begin - self._raw.ctypes.data - _GUARD) % _ALIGNED
        self._copy = self._raw[self._first : self._first + size]
        self._copy[:] = self._own

    def holds(self, array: NDArray[Any]) -> bool:
        """Whether an array lies here."""
        return 0 <= array.ctypes.data - self._begin < max(len(self._own), 1)

    def seen(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the copy of an array."""
        offset = self._first + array.ctypes.data - self._begin
        return np.ndarray(array.shape, array.dtype, self._raw.data, offset, array.strides)

    def is_intact(self) -> bool:
        """Whether nothing was written around the copy."""
        end = self._first + len(self._copy)
        return bool((self._raw[: self._first] == 0xFF).all() and (self._raw[end:] == 0xFF).all())

    def write_back(self) -> None:
        """Let the memory hold what the copy holds."""
        self._own[:] = self._copy


def _span(array: NDArray[Any]) -> tuple[int, int]:
    begin = array.ctypes.data
    return begin, begin + array.nbytes


def _merged(spans: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans that do not overlap, and cover the same."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if found and begin < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found

"""A strict stand-in for the part of cuBLASLt that emitted modules use, by nvmath's names for it.

What is described must fit: sizes of attributes, leading dimensions, extents, the lengths of stacks,
where arrays begin. Operands are rounded as the precision says, then multiplied in float64.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from bpgen.device.arrays import Device, Work
from bpgen.device.fault import require

# The values are NVIDIA's; a test compares them with those of nvmath.
ComputeType = IntEnum(
    "ComputeType",
    {
        "COMPUTE_32F": 68,
        "COMPUTE_64F": 70,
        "COMPUTE_32F_FAST_TF32": 77,
    },
)
Epilogue = IntEnum("Epilogue", {"DEFAULT": 1, "BIAS": 4})
MatmulDescAttribute = IntEnum(
    "MatmulDescAttribute", {"TRANSA": 3, "TRANSB": 4, "EPILOGUE": 7, "BIAS_POINTER": 8}
)
MatrixLayoutAttribute = IntEnum(
    "MatrixLayoutAttribute", {"BATCH_COUNT": 5, "STRIDED_BATCH_OFFSET": 6}
)
MatmulPreferenceAttribute = IntEnum(
    "MatmulPreferenceAttribute",
    {
        "MAX_WORKSPACE_BYTES": 1,
        "MIN_ALIGNMENT_A_BYTES": 5,
        "MIN_ALIGNMENT_B_BYTES": 6,
        "MIN_ALIGNMENT_C_BYTES": 7,
        "MIN_ALIGNMENT_D_BYTES": 8,
    },
)
SIZES: Mapping[str, int] = {
    "TRANSA": 4,
    "TRANSB": 4,
    "EPILOGUE": 4,
    "BIAS_POINTER": 8,
    "BATCH_COUNT": 4,
    "STRIDED_BATCH_OFFSET": 8,
    "MAX_WORKSPACE_BYTES": 8,
    **{f"MIN_ALIGNMENT_{name}_BYTES": 4 for name in "ABCD"},
}
HEURISTIC = np.dtype(
    [
        ("algo", [("data_", "<u8", (8,))]),
        ("workspace_size", "<u8"),
        ("state", "<i4"),
        ("waves_count", "<f4"),
        ("reserved", "<i4", (4,)),
    ]
)
_BF16 = 14
_DTYPES: Mapping[int, np.dtype[Any]] = {
    0: np.dtype(np.float32),
    1: np.dtype(np.float64),
    _BF16: np.dtype(np.uint16),
}
# Of A and B, of C and D: what cuBLASLt multiplies in a precision. A bias is of the type of D.
_TYPES: Mapping[str, frozenset[tuple[int, int]]] = {
    "COMPUTE_32F": frozenset({(0, 0), (_BF16, _BF16), (_BF16, 0)}),
    "COMPUTE_32F_FAST_TF32": frozenset({(0, 0)}),
    "COMPUTE_64F": frozenset({(1, 1)}),
}
_ALGORITHM = 0x5EED


class cuBLASLtError(Exception):  # noqa: N801  nvmath's name
    """What nvmath raises when cuBLASLt refuses."""


@dataclass(slots=True)
class _Kept:
    """A description: how it was made, and its attributes."""

    made: tuple[int, ...]
    told: dict[int, int] = field(default_factory=dict)


class CublasLt:
    """The calls, on one device. `lacks` names a precision that has no algorithm."""

    MatmulDescAttribute = MatmulDescAttribute
    MatrixLayoutAttribute = MatrixLayoutAttribute
    MatmulPreferenceAttribute = MatmulPreferenceAttribute
    Epilogue = Epilogue
    cuBLASLtError = cuBLASLtError  # noqa: N815  nvmath's name
    matmul_heuristic_result_dtype = HEURISTIC

    def __init__(self, device: Device, lacks: str = "") -> None:
        """Keep descriptions by number."""
        self._device, self._lacks = device, lacks
        self._kept: dict[int, _Kept] = {}
        self._numbers = count(1)

    def create(self) -> int:
        """Return a handle."""
        return self._keep()

    def matmul_desc_create(self, compute: int, scale: int) -> int:
        """Describe a product: the precision, and the type of alpha and beta."""
        ComputeType(compute)
        require((compute == ComputeType["COMPUTE_64F"]) == (scale == 1), f"{scale} for {compute}")
        return self._keep(compute, scale)

    def matrix_layout_create(self, kind: int, rows: int, columns: int, ld: int) -> int:
        """Describe matrices that lie column by column, `ld` entries apart."""
        require(ld >= rows, f"a column of {rows} entries every {ld}")
        return self._keep(kind, rows, columns, ld)

    def matmul_preference_create(self) -> int:
        """Describe what an algorithm may use."""
        return self._keep()

    def matmul_preference_destroy(self, wishes: int) -> None:
        """Forget a description."""
        del self._kept[wishes]

    def matmul_desc_set_attribute(self, of: int, which: int, address: int, size: int) -> None:
        """Set an attribute of a product from memory of the host."""
        self._tell(of, MatmulDescAttribute(which), address, size)

    def matrix_layout_set_attribute(self, of: int, which: int, address: int, size: int) -> None:
        """Set an attribute of a layout from memory of the host."""
        self._tell(of, MatrixLayoutAttribute(which), address, size)

    def matmul_preference_set_attribute(self, of: int, which: int, address: int, size: int) -> None:
        """Set an attribute of what an algorithm may use from memory of the host."""
        self._tell(of, MatmulPreferenceAttribute(which), address, size)

    def matmul_algo_get_heuristic(self, handle: int, operation: int, *rest: int) -> None:
        """Write an algorithm, which knows what it was told of alignment, and that there is one."""
        a, b, c, d, wishes, wanted, results, found = rest
        require(handle in self._kept and wanted == 1, "one algorithm is asked for")
        kept = self._kept
        compute = ComputeType(kept[operation].made[0]).name
        if compute == self._lacks:
            raise cuBLASLtError(compute)
        require(set(kept[wishes].told) == set(MatmulPreferenceAttribute), "wishes are missing")
        (m, k), (k_b, n) = self._turned(a, operation, "A"), self._turned(b, operation, "B")
        require(k == k_b, f"{m}×{k} times {k_b}×{n}")
        require(kept[c] == kept[d] and kept[d].made[1:3] == (m, n), "the result has other extents")
        stacks = {kept[x].told.get(MatrixLayoutAttribute["BATCH_COUNT"], 1) for x in (a, b, d)}
        require(len(stacks) == 1, f"stacks of {stacks}")
        kinds = [kept[x].made[0] for x in (a, b, d)]
        fit = kinds[0] == kinds[1] and (kinds[0], kinds[2]) in _TYPES[compute]
        require(fit, f"types {kinds} for {compute}")
        result = np.zeros(1, HEURISTIC)
        result["algo"]["data_"][0, :3] = (_ALGORITHM, operation, wishes)
        result["algo"]["data_"][0, 3:7] = [
            kept[wishes].told[MatmulPreferenceAttribute[f"MIN_ALIGNMENT_{x}_BYTES"]] for x in "ABCD"
        ]
        ctypes.memmove(results, result.ctypes.data, result.nbytes)
        ctypes.c_int.from_address(found).value = 1

    def matmul(self, handle: int, operation: int, *rest: int) -> None:
        """Multiply: D = alpha op(A) op(B) + beta C + bias, now or when the graph is launched."""
        alpha, a, a_at, b, b_at, beta, c, c_at, d, d_at, algorithm, room, size, stream = rest
        require(handle in self._kept, "no handle")
        require(stream == self._device.current, "a product in another stream than its module's")
        chosen = np.frombuffer(ctypes.string_at(algorithm, 64), np.uint64)
        require(tuple(chosen[:2]) == (_ALGORITHM, operation), "the algorithm is another product's")
        told = self._kept[operation].told
        bias = told.get(MatmulDescAttribute["BIAS_POINTER"], 0)
        has_bias = told.get(MatmulDescAttribute["EPILOGUE"]) == Epilogue["BIAS"]
        starts = (a, b, c, bias if has_bias else d)
        for start, least in zip(starts, map(int, chosen[3:7]), strict=True):
            require(start % least == 0, "an array begins elsewhere than was said")
        self._device.at(room, size, np.uint8)
        require(c == d and c_at == d_at, "C is not D")
        number = _DTYPES[self._kept[operation].made[1]]
        scale, kept = (
            float(np.frombuffer(ctypes.string_at(at, number.itemsize), number)[0])
            for at in (alpha, beta)
        )

        def run() -> None:
            self._device.launches += 1
            out = self._matrices(d, d_at)
            found = (
                scale
                * self._operand(operation, "A", a, a_at)
                @ self._operand(operation, "B", b, b_at)
            )
            if kept:
                found += kept * widened(out)
            if has_bias:
                found += widened(self._device.at(bias, out.shape[1], out.dtype))[:, None]
            out[...] = narrowed(found) if out.dtype == np.uint16 else found

        places = [self._device.place(x) for x in (a, b, *([bias] if has_bias else []))]
        writes = (self._device.place(d), self._device.place(room))
        self._device.do(Work(run, tuple(places), writes))

    def _keep(self, *made: int) -> int:
        number = next(self._numbers)
        self._kept[number] = _Kept(tuple(int(x) for x in made))
        return number

    def _tell(self, of: int, which: IntEnum, address: int, size: int) -> None:
        require(size == SIZES[which.name], f"{which.name} has {SIZES[which.name]} bytes")
        raw = ctypes.string_at(address, size)
        self._kept[of].told[which] = int.from_bytes(raw, "little")

    def _turned(self, layout: int, operation: int, name: str) -> tuple[int, int]:
        rows, columns = self._kept[layout].made[1:3]
        is_turned = self._kept[operation].told.get(MatmulDescAttribute[f"TRANS{name}"], 0)
        return (columns, rows) if is_turned else (rows, columns)

    def _matrices(self, address: int, layout: int) -> NDArray[Any]:
        """Return a stack of matrices of the device, in place."""
        (kind, rows, columns, ld), told = self._kept[layout].made, self._kept[layout].told
        stack = told.get(MatrixLayoutAttribute["BATCH_COUNT"], 1)
        apart = told.get(MatrixLayoutAttribute["STRIDED_BATCH_OFFSET"], 0)
        dtype = _DTYPES[kind]
        size = (stack - 1) * apart + (columns - 1) * ld + rows
        steps = tuple(x * dtype.itemsize for x in (apart, 1, ld))
        return as_strided(self._device.at(address, size, dtype), (stack, rows, columns), steps)

    def _operand(self, operation: int, name: str, address: int, layout: int) -> NDArray[Any]:
        """Return an operand: bf16 in float32, in which it is summed, and all else in float64.

        It is rounded first to the bits that the precision keeps.
        """
        kept, array = self._kept[operation], self._matrices(address, layout)
        is_tf32 = ComputeType(kept.made[0]).name == "COMPUTE_32F_FAST_TF32"
        found = rounded(array, 10) if is_tf32 else array
        found = widened(found) if found.dtype == np.uint16 else found.astype(np.float64)
        is_turned = kept.told.get(MatmulDescAttribute[f"TRANS{name}"], 0)
        return found.swapaxes(1, 2) if is_turned else found


def widened(array: NDArray[Any]) -> NDArray[Any]:
    """Return numbers of bf16, given as bits, in float32; others as they are."""
    if array.dtype != np.uint16:
        return array
    return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)


def narrowed(array: NDArray[Any]) -> NDArray[np.uint16]:
    """Return the bits of numbers rounded to bf16."""
    single = np.ascontiguousarray(array, np.float32)
    return (rounded(single, 7).view(np.uint32) >> np.uint32(16)).astype(np.uint16)


def rounded(array: NDArray[Any], bits: int) -> NDArray[Any]:
    """Round numbers of float32 to a mantissa of `bits`, to the nearest, ties to even."""
    whole = np.ascontiguousarray(array).view(np.uint32).astype(np.uint64)
    drop = np.uint64(23 - bits)
    half = (np.uint64(1) << (drop - np.uint64(1))) - np.uint64(1)
    last = (whole >> drop) & np.uint64(1)
    kept = ((whole + half + last) >> drop) << drop
    return kept.astype(np.uint32).view(np.float32)


def nvmath_on(device: Device, lacks: str = "") -> SimpleNamespace:
    """Return what `import nvmath.bindings` is to give."""
    return SimpleNamespace(
        cublas=SimpleNamespace(ComputeType=ComputeType), cublasLt=CublasLt(device, lacks)
    )

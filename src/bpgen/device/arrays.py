"""Memory of the device: kernels and copies see it, the host does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bpgen.device.fault import require

_GUARD = 64  # entries before and behind each array, which hold NaN
_ALIGNED = 256  # bytes, as CuPy's memory is


@dataclass(slots=True)
class Device:
    """What is being recorded, the order of threads, and the memory that is held.

    `seed` permutes threads; `options` are the compiler's. `launches` counts what has been run.
    """

    seed: int = 0
    options: tuple[str, ...] = ()
    launches: int = 0
    recording: list[Any] | None = None
    stream: Any = None
    held: WeakValueDictionary[int, Any] = field(default_factory=WeakValueDictionary)

    def refuse_in_capture(self, what: str) -> None:
        """Raise DeviceError if a graph is being recorded: a GPU allows `what` outside alone."""
        require(self.recording is None, f"{what} while a graph is recorded")

    def do(self, action: Any) -> None:
        """Carry out a launch, or record it."""
        if self.recording is None:
            action()
        else:
            self.recording.append(action)

    def guarded(self, array: NDArray[Any]) -> ndarray:
        """Copy `array` into memory with NaN on both sides: what reads there shows."""
        guard = _GUARD * array.itemsize
        raw = np.full(array.nbytes + 2 * guard + _ALIGNED, 0xFF, np.uint8)
        first = guard + -(raw.ctypes.data + guard) % _ALIGNED
        around = raw[first - guard : first + array.nbytes + guard]
        memory = around[guard : guard + array.nbytes].view(array.dtype).reshape(array.shape)
        memory[...] = array
        self.held[around.ctypes.data] = around
        return ndarray(self, memory, around)

    def at(self, address: int, size: int, dtype: DTypeLike) -> NDArray[Any]:
        """Return `size` entries of memory from an address on.

        Errors: DeviceError if they do not lie in one array.
        """
        for begin, around in self.held.items():
            guard = _GUARD * np.dtype(dtype).itemsize
            offset, end = address - begin, around.nbytes
            if 0 <= offset < end:
                found = around[offset : offset + size * np.dtype(dtype).itemsize]
                whole = guard <= offset and offset + size * np.dtype(dtype).itemsize <= end - guard
                require(whole, "a product reads or writes outside its arrays")
                return np.asarray(found.view(dtype))
        require(False, f"{address:#x} is no memory of the device")  # noqa: FBT003  a fault
        raise AssertionError


class ndarray:  # noqa: N801  CuPy's name
    """An array of the device: its memory is seen by kernels and copies alone."""

    def __init__(self, device: Device, memory: NDArray[Any], around: NDArray[Any]) -> None:
        """Take some memory, and the guarded memory that it is part of."""
        self._device, self._around = device, around
        self.memory = memory

    def assert_intact(self, name: str) -> None:
        """Raise DeviceError if something was written before or behind the memory."""
        guard = _GUARD * self.memory.itemsize
        for part in (self._around[:guard], self._around[-guard:]):
            require(bool((part == 0xFF).all()), f"{name} writes outside its arrays")

    def _view(self, memory: NDArray[Any]) -> ndarray:
        same = np.shares_memory(memory, self._around) or not memory.size
        require(same, "a view is a copy: what is written there is lost")
        return ndarray(self._device, memory, self._around)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the entries."""
        return self.memory.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The extents."""
        return self.memory.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.memory.ndim

    @property
    def strides(self) -> tuple[int, ...]:
        """The bytes from one entry of an axis to the next."""
        return self.memory.strides

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.memory.size

    @property
    def itemsize(self) -> int:
        """The bytes of an entry."""
        return self.memory.itemsize

    @property
    def data(self) -> Any:
        """The memory; `data.ptr` is its address."""
        return _Pointer(self.memory.ctypes.data)

    @property
    def T(self) -> ndarray:  # noqa: N802  CuPy's name
        """The transpose, a view."""
        return self._view(self.memory.T)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.memory)

    def __getitem__(self, at: slice | int | tuple[None, ...]) -> ndarray:
        """Return some rows, a view; with Nones all of them, as the one entry of a stack."""
        is_stack = isinstance(at, tuple) and set(at) <= {None}
        require(is_stack or isinstance(at, slice | int), f"rows are taken, not {at!r}")
        return self._view(np.asarray(self.memory[at]))

    def reshape(self, *shape: Any) -> ndarray:
        """Return the same entries under another shape, a view."""
        return self._view(self.memory.reshape(*shape))

    def transpose(self, *axes: int) -> ndarray:
        """Return the axes in another order, a view."""
        return self._view(self.memory.transpose(*axes))

    def copy(self) -> ndarray:
        """Return new memory with the same entries."""
        self._device.refuse_in_capture("copy")
        return self._device.guarded(self.memory)

    def fill(self, value: float) -> None:
        """Write a number everywhere."""
        self._device.refuse_in_capture("fill")
        self.memory.fill(value)

    def get(self) -> NDArray[Any]:
        """Copy to the host."""
        self._device.refuse_in_capture("get")
        return self.memory.copy()

    def set(self, array: NDArray[Any]) -> None:
        """Copy from the host."""
        self._device.refuse_in_capture("set")
        require(type(array) is np.ndarray, f"set takes an array of the host, not {type(array)}")
        require(array.dtype == self.dtype, f"set {array.dtype} into {self.dtype}")
        require(array.shape == self.shape, f"set {array.shape} into {self.shape}")
        require(array.flags.c_contiguous, "set takes an array without gaps")
        self.memory[...] = array

    def __float__(self) -> float:
        """Copy a number to the host."""
        return float(self.get())

    def __array__(self, *_args: Any, **_options: Any) -> NDArray[Any]:
        """Refuse, as CuPy does."""
        raise TypeError("implicit conversion of a device array: use .get()")


@dataclass(frozen=True, slots=True)
class _Pointer:
    ptr: int

"""Memory of the device: kernels and copies see it, the host does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bpgen.device.fault import require
from bpgen.device.order import HOST, NULL, Order, Pinned

_GUARD = 64  # entries before and behind each array, which hold NaN
_ALIGNED = 256  # bytes, as CuPy's memory is


class OutOfMemoryError(MemoryError):
    """What CuPy raises when the device has no room."""


@dataclass(frozen=True, slots=True)
class Work:
    """Something to do, and the memory it reads and writes, by where that begins."""

    action: Callable[[], None]
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()


@dataclass(slots=True)
class Device:
    """What is being recorded, the order of threads, and the memory that is held.

    `seed` permutes threads; `options` are the compiler's; `room` is the bytes it has. `launches`
    counts what has been run.
    """

    seed: int = 0
    options: tuple[str, ...] = ()
    room: int = 2**40
    launches: int = 0
    recording: list[Work] | None = None
    stream: Any = None
    held: WeakValueDictionary[int, Any] = field(default_factory=WeakValueDictionary)
    order: Order = field(default_factory=Order)

    def refuse_in_capture(self, what: str) -> None:
        """Raise DeviceError if a graph is being recorded: a GPU allows `what` outside alone."""
        require(self.recording is None, f"{what} while a graph is recorded")

    @property
    def current(self) -> int:
        """The number of the current stream."""
        return NULL if self.stream is None else int(self.stream.ptr)

    def do(self, work: Work) -> None:
        """Carry out a launch, or record it."""
        if self.recording is None:
            self.run(work, self.current)
        else:
            self.recording.append(work)

    def run(self, work: Work, stream: int) -> int:
        """Carry out work in a stream; return its number there."""
        number = self.order.work(stream, work.reads, work.writes)
        work.action()
        return number

    def at_once(self, work: Work) -> None:
        """Carry out work in the current stream, and let the host wait for it."""
        self.run(work, self.current)
        self.order.wait(HOST, self.order.recorded(self.current))

    def pinned(self, size: int) -> NDArray[np.uint8]:
        """Return memory of the host that copies may read while the host goes on."""
        found = Pinned(np.full(size, 0xFF, np.uint8))
        self.order.pins.append(found)
        return found.memory

    @property
    def free(self) -> int:
        """The bytes that are left."""
        return self.room - sum(int(around.nbytes) for around in self.held.values())

    def guarded(self, array: NDArray[Any]) -> ndarray:
        """Copy `array` into memory with NaN on both sides: what reads there shows."""
        guard = _GUARD * array.itemsize
        raw = np.full(array.nbytes + 2 * guard + _ALIGNED, 0xFF, np.uint8)
        first = guard + -(raw.ctypes.data + guard) % _ALIGNED
        around = raw[first - guard : first + array.nbytes + guard]
        memory = around[guard : guard + array.nbytes].view(array.dtype).reshape(array.shape)
        memory[...] = array
        self.held[around.ctypes.data] = around
        self.order.forget(around.ctypes.data)
        return ndarray(self, memory, around)

    def at(self, address: int, size: int, dtype: DTypeLike) -> NDArray[Any]:
        """Return `size` entries of memory from an address on.

        Errors: DeviceError if they do not lie in one array.
        """
        around = self.held[self.place(address)]
        guard, end = _GUARD * np.dtype(dtype).itemsize, around.nbytes
        offset = address - around.ctypes.data
        found = around[offset : offset + size * np.dtype(dtype).itemsize]
        whole = guard <= offset and offset + size * np.dtype(dtype).itemsize <= end - guard
        require(whole, "a product reads or writes outside its arrays")
        return np.asarray(found.view(dtype))

    def place(self, address: int) -> int:
        """Return where the memory begins that an address lies in.

        Errors: DeviceError if it is none of the device.
        """
        for begin, around in self.held.items():
            if 0 <= address - begin < around.nbytes:
                return begin
        require(False, f"{address:#x} is no memory of the device")  # noqa: FBT003  a fault
        raise AssertionError


class ndarray:  # noqa: N801  CuPy's name
    """An array of the device: its memory is seen by kernels and copies alone."""

    def __init__(self, device: Device, memory: NDArray[Any], around: NDArray[Any]) -> None:
        """Take some memory, and the guarded memory that it is part of."""
        self._device, self._around = device, around
        self.memory = memory

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

    def view(self, dtype: DTypeLike) -> ndarray:
        """Return the same memory as entries of another type."""
        return self._view(self.memory.view(dtype))

    def transpose(self, *axes: int) -> ndarray:
        """Return the axes in another order, a view."""
        return self._view(self.memory.transpose(*axes))

    @property
    def place(self) -> int:
        """Where the memory begins that this is a part of."""
        return int(self._around.ctypes.data)

    @property
    def nbytes(self) -> int:
        """The bytes of all entries."""
        return self.memory.nbytes

    def copy(self) -> ndarray:
        """Return new memory with the same entries."""
        self._device.refuse_in_capture("copy")
        found = self._device.guarded(self.memory)
        self._device.do(Work(lambda: None, (self.place,), (found.place,)))
        return found

    def fill(self, value: float) -> None:
        """Write a number everywhere."""
        self._device.refuse_in_capture("fill")
        self._device.do(Work(lambda: self.memory.fill(value), writes=(self.place,)))

    def get(self) -> NDArray[Any]:
        """Copy to the host, which waits."""
        self._device.refuse_in_capture("get")
        self._device.at_once(Work(lambda: None, reads=(self.place,)))
        return self.memory.copy()

    def set(self, array: NDArray[Any], stream: Any = None) -> None:
        """Copy from the host, in a stream or the current one; nobody waits for it.

        Memory that is pinned is read meanwhile. Other memory is free when this returns, which may
        take as long as the copy: so into a stream that is given comes pinned memory alone.
        """
        self._device.refuse_in_capture("set")
        require(type(array) is np.ndarray, f"set takes an array of the host, not {type(array)}")
        require(array.dtype == self.dtype, f"set {array.dtype} into {self.dtype}")
        require(array.shape == self.shape, f"set {array.shape} into {self.shape}")
        require(array.flags.c_contiguous, "set takes an array without gaps")

        def copied() -> None:
            self.memory[...] = array

        own = [p for p in self._device.order.pins if np.may_share_memory(p.memory, array)]
        require(bool(own) or stream is None, "a copy into a stream reads memory that is not pinned")
        where = self._device.current if stream is None else stream.ptr
        number = self._device.run(Work(copied, writes=(self.place,)), where)
        for pinned in own:
            pinned.lend(where, number)

    def __float__(self) -> float:
        """Copy a number to the host."""
        return float(self.get())

    def __array__(self, *_args: Any, **_options: Any) -> NDArray[Any]:
        """Refuse, as CuPy does."""
        raise TypeError("implicit conversion of a device array: use .get()")


@dataclass(frozen=True, slots=True)
class _Pointer:
    ptr: int

"""A strict stand-in for CuPy: what emitted modules use of it, on the CPU, and nothing more.

Arrays of the host and of the device never mix. What a GPU allows only outside a capture (copies,
allocation, waiting) is refused inside one. Kernels run by way of `host`, at once, or when the graph
they were recorded into is launched. New memory holds NaN.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bpgen.device.arrays import Device, OutOfMemoryError, Work, ndarray
from bpgen.device.cublas import nvmath_on
from bpgen.device.fault import require
from bpgen.device.fence import fenced
from bpgen.device.host import HostModule
from bpgen.device.streams import Event, Graph, Stream


class RawModule:
    """Kernels of a source, compiled for the CPU."""

    def __init__(self, device: Device, *, code: str, options: Sequence[str] = ()) -> None:
        """Compile `code` with the options that emitted modules give."""
        standard, real = options
        require(standard == "--std=c++17", f"compiled as {standard}")
        self._device = device
        self._module = HostModule(code, real.removeprefix("-DREAL="), device.options)

    def get_function(self, name: str) -> Callable[..., None]:
        """Return what launches a kernel."""
        return partial(self._launch, name)

    def _launch(
        self, name: str, grid: Sequence[int], block: Sequence[int], args: Sequence[Any]
    ) -> None:
        require(len(grid) == len(block) == 1, f"{name}: a grid of {grid}")
        require(0 < grid[0] < 2**31, f"{name}: a grid of {grid}")
        require(0 < block[0] <= 1024, f"{name}: blocks of {block}")
        arrays = [arg for arg in args if isinstance(arg, ndarray)]
        written = self._module.signatures[name].written
        writes = {arg.place for arg, is_out in zip(args, written, strict=False) if is_out}
        reads = {array.place for array in arrays} - writes

        def run() -> None:
            self._device.launches += 1
            with fenced([array.memory for array in arrays], name) as copies:
                left = iter(copies)
                given = tuple(next(left) if isinstance(arg, ndarray) else arg for arg in args)
                self._module.launch(name, grid[0], block[0], given, self._device.seed)

        self._device.do(Work(run, tuple(reads), tuple(writes)))


class Cupy:
    """The functions of CuPy, on one device."""

    def __init__(self, device: Device) -> None:
        """Take the device."""
        self.device = device

    def empty(self, shape: Any, dtype: DTypeLike = float) -> ndarray:
        """Return memory that nothing has written."""
        self.device.refuse_in_capture("allocation")
        size = math.prod(shape if isinstance(shape, tuple) else (shape,)) * np.dtype(dtype).itemsize
        if size > self.device.free:
            raise OutOfMemoryError(f"{size:,} bytes")
        found = self.device.guarded(np.zeros(shape, dtype))
        found.memory.reshape(-1).view(np.uint8)[:] = 0xFF
        return found

    def zeros(self, shape: Any, dtype: DTypeLike = float) -> ndarray:
        """Return zeros."""
        self.device.refuse_in_capture("allocation")
        found = self.device.guarded(np.zeros(shape, dtype))
        self.device.do(Work(lambda: None, writes=(found.place,)))
        return found

    def empty_like(self, array: ndarray) -> ndarray:
        """Return memory like that of `array`."""
        return self.empty(array.shape, array.dtype)

    def asarray(self, array: NDArray[Any]) -> ndarray:
        """Copy an array of the host to the device."""
        self.device.refuse_in_capture("asarray")
        require(type(array) is np.ndarray, f"asarray takes an array of the host, not {type(array)}")
        found = self.device.guarded(array)
        self.device.do(Work(lambda: None, writes=(found.place,)))
        return found

    def module(self) -> ModuleType:
        """Return what `import cupy` is to give."""
        on = {name: partial(kind, self.device) for name, kind in _ON_DEVICE.items()}
        names = ("empty", "zeros", "empty_like", "asarray")
        found = ModuleType("cupy")
        current = SimpleNamespace(ptr=0)
        vars(found).update(
            {name: getattr(self, name) for name in names},
            ndarray=ndarray,
            RawModule=on["RawModule"],
            get_default_memory_pool=lambda: SimpleNamespace(free_all_blocks=lambda: None),
            cuda=SimpleNamespace(
                memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
                runtime=SimpleNamespace(memGetInfo=lambda: (self.device.free, self.device.room)),
                Stream=on["Stream"],
                Event=on["Event"],
                Graph=Graph,
                alloc_pinned_memory=self.device.pinned,
                is_available=lambda: True,
                get_current_stream=lambda: self.device.stream or current,
            ),
        )
        return found


_ON_DEVICE: dict[str, Callable[..., Any]] = {
    "RawModule": RawModule,
    "Stream": Stream,
    "Event": Event,
}


@contextmanager
def installed(
    device: Device | None = None, *, with_library: bool = True, lacks: str = ""
) -> Iterator[ModuleType]:
    """Let `import cupy` find the stand-in, and nvmath that of cuBLASLt, if it is to be there.

    `lacks` names a precision that cuBLASLt has no algorithm for.
    """
    device = device or Device()
    cupy, nvmath = Cupy(device).module(), ModuleType("nvmath.bindings")
    vars(nvmath).update(vars(nvmath_on(device, lacks)) if with_library else {})
    modules = {"cupy": cupy, "nvmath": ModuleType("nvmath"), "nvmath.bindings": nvmath}
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield cupy
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module

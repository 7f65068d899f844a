"""A strict stand-in for CuPy: what emitted modules use of it, on the CPU, and nothing more.

Arrays of the host and of the device never mix. What a GPU allows only outside a capture (copies,
allocation, waiting) raises inside one. Kernels run by way of `host`, at once, or when the graph
they were captured into is launched. New memory holds NaN.
"""

import sys
import types
from contextlib import contextmanager
from typing import Any

import numpy as np
from tests.device.host import HostModule


class CaptureError(RuntimeError):
    """Something was done during a capture that a GPU refuses there."""


class Device:
    """What is being captured, and the order of threads."""

    recording: Any = None
    seed = 0
    launches = 0

    @classmethod
    def refuse_in_capture(cls, what):
        if cls.recording is not None:
            raise CaptureError(f"{what} during a capture")


class ndarray:  # noqa: N801  CuPy's name
    """An array of the device: its memory is seen by kernels and copies alone."""

    def __init__(self, memory):
        self._memory = memory

    dtype = property(lambda self: self._memory.dtype)
    shape = property(lambda self: self._memory.shape)
    size = property(lambda self: self._memory.size)

    def __getitem__(self, at):
        assert isinstance(at, slice), f"an emitted module takes slices, not {at!r}"
        return ndarray(self._memory[at])

    def reshape(self, *shape):
        whole = self._memory.reshape(*shape)
        assert np.shares_memory(whole, self._memory) or not whole.size
        return ndarray(whole)

    def copy(self):
        Device.refuse_in_capture("copy")
        return ndarray(self._memory.copy())

    def fill(self, value):
        Device.refuse_in_capture("fill")
        self._memory.fill(value)

    def get(self):
        Device.refuse_in_capture("get")
        return self._memory.copy()

    def set(self, array):
        Device.refuse_in_capture("set")
        assert type(array) is np.ndarray, f"set takes an array of the host, not {type(array)}"
        assert array.dtype == self.dtype, f"set {array.dtype} into {self.dtype}"
        assert array.shape == self.shape, f"set {array.shape} into {self.shape}"
        assert array.flags.c_contiguous
        self._memory[...] = array

    def __float__(self):
        return float(self.get())

    def __array__(self, *_args, **_kwargs):
        raise TypeError("implicit conversion of a device array: use .get()")


def empty(shape, dtype=float):
    """Return memory that nothing has written."""
    Device.refuse_in_capture("allocation")
    memory = np.empty(shape, dtype)
    memory.fill(np.nan if memory.dtype.kind == "f" else -(2**31) + 7)
    return ndarray(memory)


def zeros(shape, dtype=float):
    """Return zeros."""
    Device.refuse_in_capture("allocation")
    return ndarray(np.zeros(shape, dtype))


def empty_like(array):
    """Return memory like that of `array`."""
    assert isinstance(array, ndarray)
    return empty(array.shape, array.dtype)


def asarray(array):
    """Copy an array of the host to the device."""
    Device.refuse_in_capture("asarray")
    assert type(array) is np.ndarray
    return ndarray(np.array(array, order="C"))


class RawModule:
    """Kernels of a source, compiled for the CPU."""

    def __init__(self, *, code, options=()):
        standard, real = options
        assert standard == "--std=c++17"
        self._module = HostModule(code, real.removeprefix("-DREAL="))

    def get_function(self, name):
        signature = self._module.signatures[name]

        def launch(grid, block, args):
            assert len(grid) == len(block) == 1
            assert 0 < grid[0] < 2**31, f"{name}: a grid of {grid}"
            assert 0 < block[0] <= 1024
            given = tuple(a._memory if isinstance(a, ndarray) else a for a in args)
            for arg, (_, is_pointer) in zip(args, signature.parameters, strict=True):
                assert isinstance(arg, ndarray) == is_pointer, f"{name} takes {signature}"

            def run():
                Device.launches += 1
                self._module.launch(name, grid[0], block[0], given, Device.seed)

            if Device.recording is None:
                run()
            else:
                Device.recording.append(run)

        return launch


class Graph:
    """What was captured."""

    def __init__(self, work):
        self._work = work

    def launch(self, stream=None):
        assert isinstance(stream, Stream)
        Device.refuse_in_capture("launch of a graph")
        for run in self._work:
            run()


class Stream:
    """A stream: work in it is done at once."""

    current: Any = None

    def __enter__(self):
        Stream.current = self
        return self

    def __exit__(self, *_exception):
        Stream.current = None

    def begin_capture(self):
        assert Stream.current is self, "the null stream cannot be captured"
        assert Device.recording is None
        Device.recording = []

    def end_capture(self):
        work, Device.recording = Device.recording, None
        return Graph(work)


@contextmanager
def installed():
    """Let `import cupy` find the stand-in."""
    cuda = types.SimpleNamespace(Stream=Stream, Graph=Graph, is_available=lambda: True)
    module = types.ModuleType("cupy")
    names = (ndarray, empty, zeros, empty_like, asarray, RawModule)
    vars(module).update({thing.__name__: thing for thing in names}, cuda=cuda)
    before = sys.modules.get("cupy")
    sys.modules["cupy"] = module
    try:
        yield module
    finally:
        if before is None:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before

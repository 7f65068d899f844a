"""Import an emitted CuPy module so that it runs: on the GPU, or on the CPU where there is none."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from bpgen.device.host import has_compiler
from bpgen.device.standin import installed
from bpgen.errors import UndecidedError
from bpgen.execute.load import Emitted, load_module


def load_on_device(path: Path) -> tuple[Emitted, str]:
    """Return the module at `path`, and where its kernels run.

    Errors: UndecidedError if there is neither a GPU nor g++.
    """
    if _has_gpu():
        return load_module(path), "(on the GPU)"
    if not has_compiler():
        raise UndecidedError(
            "the kernels of a CuPy module cannot run here",
            disagree="no NVIDIA GPU answers CuPy, and there is no g++ for this kind of processor",
            rule="They run on the GPU, or, compiled by g++, on a processor of x86-64.",
            way_out="Install g++, or check the numpy module: leave out --target cupy.",
        )
    with installed():
        return load_module(path), "(on the CPU, by g++)"


def _has_gpu() -> bool:
    if find_spec("cupy") is None:
        return False
    import cupy

    return bool(cupy.cuda.is_available())

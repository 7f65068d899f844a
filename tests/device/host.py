"""Compile CUDA C++ for the CPU, by way of `cuda_host.h`, and launch its kernels on numpy arrays."""

import ctypes
import hashlib
import platform
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

HEADER = Path(__file__).with_name("cuda_host.h")
CACHE = Path(tempfile.gettempdir()) / "bpgen_cuda_host"
_KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(\s*([^)]*?)\s*\) \{')
_TYPES = {"int": np.int32, "double": np.float64}


def has_compiler():
    """Whether this machine can compile kernels for the CPU."""
    return shutil.which("g++") is not None and platform.machine() in {"x86_64", "AMD64"}


@dataclass(frozen=True)
class Signature:
    """The parameters of a kernel: for each, its type, and whether it is a pointer."""

    name: str
    parameters: tuple[tuple[str, bool], ...]


def signatures(source):
    """Return the signature of every kernel in `source`."""
    found = {}
    for name, text in _KERNEL.findall(source):
        parts = [p.strip().removeprefix("const ") for p in text.split(",") if p.strip()]
        found[name] = Signature(name, tuple((p.split(" ")[0], "*" in p) for p in parts))
    return found


class HostModule:
    """The kernels of a source, compiled for the CPU."""

    def __init__(self, source, real):
        self.real = np.dtype({"float": np.float32, "double": np.float64}[real])
        self.signatures = signatures(source)
        self._library = ctypes.CDLL(str(compiled(source, real)))

    def launch(self, name, blocks, threads, args, seed=0):
        """Run a kernel; arguments must be arrays and numbers of just the types it takes."""
        signature = self.signatures[name]
        assert len(args) == len(signature.parameters), f"{name} takes {signature.parameters}"
        held: list[Any] = []
        for arg, (kind, is_pointer) in zip(args, signature.parameters, strict=True):
            wanted = np.dtype(_TYPES.get(kind, self.real))
            assert arg.dtype == wanted, f"{name} takes {wanted}, and is given {arg.dtype}"
            if is_pointer:
                assert arg.flags.c_contiguous, f"{name} is given an array with gaps"
                held.append(ctypes.c_void_p(arg.ctypes.data))
            else:
                assert not isinstance(arg, np.ndarray), f"{name} takes a number"
                held.append(ctypes.c_int(int(arg)))
        given = (ctypes.c_void_p * len(held))(*(ctypes.addressof(h) for h in held))
        self._library[f"run_{name}"](blocks, threads, seed, given)


@lru_cache(maxsize=64)
def compiled(source, real):
    """Return the shared library of a source, compiled once."""
    text = f'#include "{HEADER}"\n{source}\n' + "\n".join(map(_runner, signatures(source).values()))
    key = hashlib.sha256((text + HEADER.read_text() + real).encode()).hexdigest()[:24]
    library = CACHE / f"{key}.so"
    if not library.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            code, made = Path(folder) / "kernels.cpp", Path(folder) / "kernels.so"
            code.write_text(text)
            options = ["-std=c++17", "-O1", "-w", "-ffp-contract=off", f"-DREAL={real}"]
            subprocess.run(
                ["g++", *options, "-shared", "-fPIC", str(code), "-o", str(made)], check=True
            )
            made.replace(library)
    return library


def _runner(signature):
    args = ", ".join(
        f"*static_cast<{kind} {'*' if is_pointer else ''}*>(args[{place}])"
        for place, (kind, is_pointer) in enumerate(signature.parameters)
    )
    return (
        f'extern "C" void run_{signature.name}(unsigned blocks, unsigned threads, unsigned seed, '
        f"void **args) {{ host::launch(blocks, threads, seed, [=] {{ {signature.name}({args}); "
        "}); }"
    )

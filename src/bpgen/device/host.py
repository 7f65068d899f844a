"""Compile CUDA C++ for the CPU, by way of `cuda_host.h`, and launch its kernels on numpy arrays."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bpgen.device.fault import require
from bpgen.errors import FileError

HEADER = Path(__file__).with_name("cuda_host.h")
_INCLUDED = (HEADER, HEADER.with_name("cuda_bf16.h"))
_OPTIONS = ("-std=c++17", "-O1", "-w", "-Wno-psabi", "-ffp-contract=off", "-shared", "-fPIC")
SANITIZED = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
_KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(\s*([^)]*?)\s*\) \{')
_TYPES = {"int": "int32", "double": "float64", "word": "uint64"}
_OF_REAL = {
    "float": {"real": "float32", "narrow": "uint16"},  # the bits of bf16
    "double": {"real": "float64", "narrow": "float64"},
}


def has_compiler() -> bool:
    """Whether this machine can compile kernels for the CPU."""
    return shutil.which("g++") is not None and platform.machine() in {"x86_64", "AMD64"}


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a kernel: for each, its type, and whether it is a pointer.

    `written` says of which ones the kernel may write the memory.
    """

    name: str
    parameters: tuple[tuple[str, bool], ...]
    written: tuple[bool, ...]


def signatures(source: str) -> dict[str, Signature]:
    """Return the signature of every kernel in `source`."""
    found = {}
    for name, text in _KERNEL.findall(source):
        given = [p.strip() for p in text.split(",") if p.strip()]
        parts = [p.removeprefix("const ") for p in given]
        found[name] = Signature(
            name,
            tuple((p.split(" ")[0], "*" in p) for p in parts),
            tuple("*" in p and not p.startswith("const ") for p in given),
        )
    return found


class HostModule:
    """The kernels of a source, compiled for the CPU."""

    def __init__(self, source: str, real: str, options: Sequence[str] = ()) -> None:
        """Compile with further `options`, such as `SANITIZED`, if any are given."""
        self.types = {**_TYPES, **_OF_REAL[real]}
        self.signatures: Mapping[str, Signature] = signatures(source)
        self._library = ctypes.CDLL(str(compiled(source, real, tuple(options))))

    def launch(
        self, name: str, blocks: int, threads: int, args: Sequence[Any], seed: int = 0
    ) -> None:
        """Run a kernel; `seed` permutes the order in which threads run.

        Errors: DeviceError if an argument is not just what the kernel takes, or threads wait for
        each other for ever.
        """
        signature = self.signatures[name]
        require(len(args) == len(signature.parameters), f"{name} takes {signature.parameters}")
        held: list[Any] = []
        for arg, (kind, is_pointer) in zip(args, signature.parameters, strict=True):
            wanted = np.dtype(self.types[kind])
            require(arg.dtype == wanted, f"{name} takes {wanted}, and is given {arg.dtype}")
            require(isinstance(arg, np.ndarray) == is_pointer, f"{name} takes {signature}")
            if is_pointer:
                require(_is_whole(arg), f"{name} is given an array with gaps")
                held.append(ctypes.c_void_p(arg.ctypes.data))
            else:
                held.append(ctypes.c_int(int(arg)) if kind == "int" else ctypes.c_double(arg))
        given = (ctypes.c_void_p * len(held))(*(ctypes.addressof(h) for h in held))
        is_stuck = self._library[f"run_{name}"](blocks, threads, seed, given)
        require(not is_stuck, f"deadlock: not all threads of a block of {name} reach a barrier")


def _is_whole(array: NDArray[Any]) -> bool:
    """Whether an array is all of its memory, its axes in any order."""
    order = np.argsort([-step for step in array.strides], kind="stable")
    return bool(array.transpose(order).flags.c_contiguous)


@lru_cache(maxsize=64)
def compiled(source: str, real: str, options: tuple[str, ...] = ()) -> Path:
    """Return the shared library of a source, compiled once.

    Errors: subprocess.CalledProcessError if g++ refuses it.
    """
    text = f'#include "{HEADER}"\n{source}\n' + "\n".join(map(_runner, signatures(source).values()))
    given = [*_OPTIONS, *options, f"-DREAL={real}", f"-I{HEADER.parent}"]
    known = [text, *(path.read_text() for path in _INCLUDED), *given]
    key = hashlib.sha256("\n".join(known).encode()).hexdigest()[:24]
    cache = _cache()
    library = cache / f"{key}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            code, made = Path(folder) / "kernels.cpp", Path(folder) / "kernels.so"
            code.write_text(text, encoding="utf-8")
            subprocess.run(["g++", *given, str(code), "-o", str(made)], check=True)  # noqa: S603, S607  the text is ours
            made.replace(library)
    return library


def _cache() -> Path:
    """Return the folder of compiled kernels, which is this user's alone: they are run."""
    folder = Path(tempfile.gettempdir()) / f"bpgen-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise FileError(f"{folder} belongs to somebody else", way_out="Remove it, or set TMPDIR.")
    return folder


def _runner(signature: Signature) -> str:
    args = ", ".join(
        f"*static_cast<{kind} {'*' if is_pointer else ''}*>(args[{place}])"
        for place, (kind, is_pointer) in enumerate(signature.parameters)
    )
    return (
        f'extern "C" bool run_{signature.name}(unsigned blocks, unsigned threads, unsigned seed, '
        f"void **args) {{ return host::launch(blocks, threads, seed, [=] {{ "
        f"{signature.name}({args}); }}); }}"
    )

"""Compile CUDA C++ with NVRTC as CuPy does, for a GPU that need not be there."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bpgen.device.fault import require

ARCHITECTURES = ("75", "80", "90", "100")
_USED = re.compile(
    r"Compiling entry function '(?:kernel_)?(\w+)' for.*?"
    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?"
    r"Used (\d+) registers(?:, used \d+ barriers)?(?:, \d+ bytes cumulative stack size)?"
    r"(?:, (\d+) bytes smem)?",
    re.DOTALL,
)
_WIDE = re.compile(r"(?:ld|st)\.global(?:\.\w+)*\.(?:v4\.(?:b32|f32|u32)|v2\.(?:b64|f64|u64))")


@dataclass(frozen=True, slots=True)
class Usage:
    """What a kernel needs of a multiprocessor: registers a thread, bytes of memory for the rest."""

    registers: int
    spills: int
    stack: int
    shared: int


def kernels_of(module: str) -> tuple[str, tuple[str, ...]]:
    """Return the CUDA C++ in the text of an emitted module, and the names of its kernels."""
    found: dict[str, Any] = {}
    for node in ast.parse(module).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="SOURCE" | "KERNELS" as name)]):
                found[name] = ast.literal_eval(node.value)
            case _:
                pass
    return found["SOURCE"], found["KERNELS"]


def assembly(source: str, real: str) -> dict[str, str]:
    """Return the PTX of every kernel, by name."""
    text = _compiled(source, real, ("-arch=compute_90",), "getPTX")
    entries = text.split(".visible .entry kernel_")[1:]
    return {part.split("(")[0]: part.split("\n}")[0] for part in entries}


def wide_moves(ptx: str) -> int:
    """Return how many loads and stores of a kernel move 16 bytes."""
    return len(_WIDE.findall(ptx))


def usage(source: str, real: str, architecture: str) -> dict[str, Usage]:
    """Return what every kernel needs.

    Errors: DeviceError with the log of the compiler if it refuses the source.
    """
    options = (f"-arch=sm_{architecture}", "--ptxas-options=-v")
    log = _compiled(source, real, options, "getProgramLog")
    return {
        name: Usage(int(registers), int(stores) + int(loads), int(stack), int(shared or 0))
        for name, stack, stores, loads, registers, shared in _USED.findall(log)
    }


def _compiled(source: str, real: str, options: Sequence[str], wanted: str) -> str:
    """Compile with the options that CuPy gives; return a text that NVRTC has of the program."""
    from cupy._core.core import assemble_cupy_compiler_options
    from cupy.cuda import nvrtc

    cupys = ("-ftz=true", "--device-as-default-execution-space")
    own = assemble_cupy_compiler_options(("--std=c++17", f"-DREAL={real}"))
    program = nvrtc.createProgram(source, "kernels.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*own, *cupys, *options))
        refused = ""
    except nvrtc.NVRTCError:
        refused = nvrtc.getProgramLog(program)
    require(not refused, f"NVRTC refuses it\n{refused}")
    text = getattr(nvrtc, wanted)(program)
    return text.decode() if isinstance(text, bytes) else str(text)

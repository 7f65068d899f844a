"""Compile CUDA C++ with NVRTC as CuPy does, for a GPU that need not be there."""

import re
from dataclasses import dataclass

ARCHITECTURES = ("75", "80", "90", "100")
_USED = re.compile(
    r"Compiling entry function '(?:kernel_)?(\w+)' for.*?"
    r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads.*?"
    r"Used (\d+) registers",
    re.DOTALL,
)


@dataclass(frozen=True)
class Usage:
    """What a kernel needs of a multiprocessor."""

    registers: int
    spills: int
    stack: int


def assembly(source, real):
    """Return the PTX of every kernel, by name."""
    from cupy._core.core import assemble_cupy_compiler_options
    from cupy.cuda import nvrtc

    own = assemble_cupy_compiler_options(("--std=c++17", f"-DREAL={real}"))
    program = nvrtc.createProgram(source, "kernels.cu", (), ())
    nvrtc.compileProgram(program, (*own, "-ftz=true", "-arch=compute_90"))
    text = nvrtc.getPTX(program)
    text = text.decode() if isinstance(text, bytes) else text
    entries = text.split(".visible .entry kernel_")[1:]
    return {part.split("(")[0]: part.split("\n}")[0] for part in entries}


def usage(source, real, architecture):
    """Return what every kernel needs; the compiler's log is raised if it refuses the source."""
    from cupy._core.core import assemble_cupy_compiler_options
    from cupy.cuda import nvrtc

    own = assemble_cupy_compiler_options(("--std=c++17", f"-DREAL={real}"))
    cupys = ("-ftz=true", f"-arch=sm_{architecture}", "--device-as-default-execution-space")
    program = nvrtc.createProgram(source, "kernels.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*own, *cupys, "--ptxas-options=-v"))
    except nvrtc.NVRTCError:
        raise AssertionError(nvrtc.getProgramLog(program)) from None
    log = nvrtc.getProgramLog(program)
    return {
        name: Usage(int(registers), int(stores) + int(loads), int(stack))
        for name, stack, stores, loads, registers in _USED.findall(log)
    }

"""From a program to the view of its CuPy module."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from bpgen.emit.contract import Contract, plain
from bpgen.emit.cuda_functions import CudaFunctions, launched
from bpgen.emit.cuda_layout import DTYPES, DeviceMemory, fields, number_fields
from bpgen.emit.cuda_view import CudaModuleView, KernelView, ProductView
from bpgen.emit.functions import calls
from bpgen.emit.layout import Memory
from bpgen.emit.tensors import Tensors
from bpgen.emit.view import FieldView, FunctionView
from bpgen.emit.wrap import WIDTH, wrapped_code
from bpgen.ir.program import Program
from bpgen.ir.tensor import Role
from bpgen.spell import FormulaSpeller, order_of
from bpgen.targets.cupy.maps import FEW
from bpgen.targets.cupy.memory import Memory as OnDevice
from bpgen.targets.cupy.noise import is_drawn
from bpgen.targets.cupy.tiles import made_of

_PRECONDITIONS = (
    "if missing():",
    "    print(missing(), file=sys.stderr)",
    "    return 8",
)


def view_of(
    program: Program, declared_in: str, dtype: str, precision: str = "fp32"
) -> CudaModuleView:
    """Return the view of the module that trains `program` on a GPU, whose products are `precision`.

    In bf16 what they read is stored so, too.
    """
    host = Memory.of(program)
    speller = FormulaSpeller(order_of(program.tensors.values()))
    contract = Contract(program, host, speller)
    memory, tensors = DeviceMemory.of(program, host, precision), contract.tensors
    name = program.network.name
    written = CudaFunctions.of(program, memory, speller)
    functions, kernels = written.views(), written.kernels()
    init, has_noise = tensors.init(), bool(program.network.of_role(Role.NOISE))
    common = contract.fields(dtype, functions, has_noise=has_noise)
    own = {
        "accuracy": tuple(
            line.replace('"].argmax', '"].get().argmax') for line in common["accuracy"]
        ),
        **_calls(functions),
        **_batch(program, memory, tensors),
    }
    return CudaModuleView(
        origin=(
            plain(f"Written by `bpgen emit {name} --target cupy` from {declared_in}."),
            "It needs CuPy and an NVIDIA GPU to run, and neither to be imported.",
        ),
        extents_in_cuda=_in_cuda(program),
        counts_steps=program.optimizer.counts_steps,
        numbers=number_fields(t for t in memory.numbers if launched(f"s.{t.name}", functions)),
        precision=precision,
        activations=(*fields(memory.activations, memory.network, speller), *_tiles(written)),
        cotangents=(*_random(functions), *fields(memory.cotangents, memory.network, speller)),
        init=init,
        kernels=kernels,
        has_noise=has_noise,
        normals=_normals(program),
        is_drawn=_is_drawn(functions),
        preconditions=_PRECONDITIONS,
        train_line="trainer.start(**batch)",
        loss_line="last = trainer.loss()  # the one that is waited for",
        **_needs(kernels, functions, init, tensors),
        **_products(memory.network),
        **{**common, **own},
    )


def _needs(
    written: Sequence[KernelView],
    functions: Sequence[FunctionView],
    init: Sequence[str],
    tensors: Tensors,
) -> dict[str, Any]:
    """Return which parts a module has: those that its lines use."""
    kernels, lines = "\n".join(line for k in written for line in k.lines), "\n".join(init)
    multiplies = any("k.matmul(" in line for f in functions for s in f.steps for line in s.lines)
    return {
        "needs_math": "math." in lines or "orthogonal(" in lines or tensors.has_blocks,
        "needs_orthogonal": "orthogonal(" in lines,
        "has_values": "each_of(" in kernels,
        "has_reductions": "by_" in kernels or "rows<" in kernels or "_panel<" in kernels,
        "has_matches": "by_match(" in kernels,
        "has_rows": "rows<" in kernels,
        "has_strips": "product<" in kernels or multiplies or "_of_panel<" in kernels,
        "has_products": "product<" in kernels or multiplies,
        "has_panels": "_of_panel<" in kernels,
        "has_matmul": multiplies,
    }


def _products(memory: OnDevice) -> dict[str, Any]:
    """Return what depends on the type of what products read; for each type of a result one."""
    factor = memory.factor
    kinds = {"matmul": "real"} | ({"matmul_narrow": "narrow"} if factor == "narrow" else {})
    pointers = f"const {factor} *left, const {factor} *right"
    return {
        "is_rounded": factor == "narrow",
        "factor": factor,
        "few": {4: "four", 8: "eight"}[FEW[factor]],
        "entries_a_block": str(256 * FEW[factor]),
        "multiplier": "MATMUL[out.itemsize]" if factor == "narrow" else '"matmul"',
        "products": tuple(
            ProductView(name, f"{pointers}, const {kind} *bias, {kind} *out")
            for name, kind in kinds.items()
        ),
    }


def _in_cuda(program: Program) -> tuple[str, ...]:
    known = [e for e in program.derivation.network.extents() if e.value is not None]
    text = ", ".join(f"{e.name}\0=\0{e.value}" for e in known)
    lines = textwrap.wrap(f"{text};", WIDTH) if known else []
    return tuple(line.replace("\0", " ") for line in lines)


def _batch(program: Program, memory: DeviceMemory, tensors: Tensors) -> dict[str, Any]:
    """Return how a batch reaches the device, and how outputs are called there."""
    args = [t.name for t in program.network.inputs]
    drawn = any(map(is_drawn, program.network.of_role(Role.NOISE)))
    read = [name for name in args if name in tensors.predicted()]
    results = (
        f'"{label}": {_result(program, memory, name)}'
        for label, name in program.network.outputs.items()
    )
    return {
        "batch_dict": _dict(args),
        "sent": (*(t.name for t in memory.sent), *(["random"] if drawn else [])),
        "batch_given": ", ".join(f"{a}={a}" for a in args),
        "predict_dict": _dict(read),
        "predict_result": ", ".join(results),
    }


def _result(program: Program, memory: DeviceMemory, name: str) -> str:
    """Return what `predict` calls an output: a buffer, a copy, or a buffer under other indices."""
    network = memory.network
    root = network.root(name)
    text = network.names[root]
    if text.startswith("p."):
        text = f"params.{root}.copy()"
    axes = program.derivation.network.tensors[name].indices
    sizes = ["-1" if i.extent.value is None else i.extent.name for i in axes]
    return text if root == name else f"{text}.reshape({', '.join(sizes)})"


def _dict(names: list[str]) -> str:
    return "{" + ", ".join(f'"{name}": {name}' for name in names) + "}"


def _calls(functions: Sequence[FunctionView]) -> dict[str, tuple[str, ...]]:
    """Return what a gradient and a step call; noise that is given is not drawn.

    Parameters that are given are rounded first.
    """
    found = calls(functions, has_noise=False)
    if _is_drawn(functions):
        found |= {
            "train_calls": ("if noise is None:", "    draw(a)", *found["train_calls"]),
            "step_calls": ("draw(a)", *found["step_calls"]),
        }
    if any(f.name == "round_off" for f in functions):
        public = ("train_calls", "predict_calls", "score_calls")
        found |= {name: ("round_off(params)", *found[name]) for name in public}
    return found


def _is_drawn(functions: Sequence[FunctionView]) -> bool:
    """Whether kernels draw noise."""
    return any(f.name == "draw" for f in functions)


def _tiles(written: CudaFunctions) -> tuple[FieldView, ...]:
    """Return the memory of tiles, if there are any."""
    tiles, dtype = written.target.tiles, DTYPES[written.target.memory.factor]
    made = FieldView("tiles", "", "copies for products", make=made_of(tiles, dtype))
    return (made,) if tiles else ()


def _random(functions: Sequence[FunctionView]) -> tuple[FieldView, ...]:
    """Return the buffer of what kernels draw noise from."""
    made = FieldView("random", "", "seed and step", make="cp.empty(2, np.uint64)")
    return (made,) if _is_drawn(functions) else ()


def _normals(program: Program) -> tuple[str, ...]:
    """Return the lines that draw the noise of one step that no kernel draws."""
    lines: list[str] = []
    for t in program.network.of_role(Role.NOISE):
        if is_drawn(t):
            continue
        counter = f"np.random.Philox(key=[seed, {t.stream}], counter=[0, 0, 0, step])"
        lines.append(f"rng = np.random.Generator({counter})")
        lines.append(f'found["{t.name}"] = rng.standard_normal(a.{t.name}.shape)')
    return tuple(part for line in lines for part in wrapped_code(line))

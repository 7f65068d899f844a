"""From a program to the view of its CuPy module."""

from __future__ import annotations

import textwrap
import zlib
from typing import Any

from bpgen.emit.cuda_functions import CudaFunctions, launched
from bpgen.emit.cuda_layout import DeviceMemory, fields, number_fields
from bpgen.emit.cuda_view import CudaModuleView
from bpgen.emit.functions import calls
from bpgen.emit.layout import Memory
from bpgen.emit.numpy_view import Writer, plain
from bpgen.emit.tensors import Tensors, as_tuple
from bpgen.emit.view import FieldView
from bpgen.emit.wrap import WIDTH, wrapped_code
from bpgen.ir.program import Program
from bpgen.ir.tensor import Role
from bpgen.spell import FormulaSpeller, order_of

_DEMANDS = (
    "if missing():",
    "    print(missing(), file=sys.stderr)",
    "    return 8",
)


def view_of(program: Program, declared_in: str, dtype: str) -> CudaModuleView:
    """Return the view of the module that trains `program` on a GPU."""
    net, optimizer = program.network, program.optimizer
    host = Memory.of(program)
    speller = FormulaSpeller(order_of(program.derivation.network.tensors.values()))
    tensors, common = Tensors(program, host, speller), Writer(program)
    memory = DeviceMemory.of(program, host)
    written = CudaFunctions.of(program, memory, speller)
    functions, kernels = written.views(), written.kernels()
    init, draw, accuracy = tensors.init(), _draw(program), common.accuracy()
    source = "\n".join(line for k in kernels for line in k.lines)
    stepping = calls(functions, has_noise=False)["step_calls"]  # noise is drawn before
    return CudaModuleView(
        title=plain(net.doc) or f"The network {net.name}.",
        origin=(
            plain(f"Written by `bpgen emit {net.name} --target cupy` from {declared_in}."),
            "It needs CuPy and an NVIDIA GPU to run, and neither to be imported.",
        ),
        dtype=dtype,
        extents=common.extents(),
        extents_in_cuda=_in_cuda(program),
        size=str(tensors.trained),
        outputs=as_tuple(f'"{label}"' for label in net.outputs),
        optimizer=optimizer.name,
        loss=net.loss,
        states_names=as_tuple(f'"{s.name}"' for s in optimizer.states),
        needs_math="math." in "".join(init) or "orthogonal(" in "".join(init) or tensors.has_blocks,
        needs_orthogonal="orthogonal(" in "".join(init),
        has_blocks=tensors.has_blocks,
        has_labels=any(t.is_integer for t in net.inputs),
        has_reals=not all(t.is_integer for t in net.inputs),
        has_reductions="by_" in source or "rows<" in source,
        has_rows="rows<" in source,
        has_products="product<" in source,
        counts_steps=optimizer.counts_steps,
        parameters=tensors.parameters(),
        tables=tensors.tables(),
        states=tuple(FieldView(s.name, "", f"{s.name}[i]") for s in optimizer.states),
        numbers=number_fields(t for t in memory.numbers if launched(f"s.{t.name}", functions)),
        activations=fields(memory.activations, speller),
        cotangents=fields(memory.cotangents, speller),
        init=init,
        kernels=kernels,
        functions=functions,
        draw=draw,
        accuracy=tuple(line.replace('"].argmax', '"].get().argmax') for line in accuracy),
        report_words=", and the share of right answers" if accuracy else "",
        demands=_DEMANDS,
        **common.storage(),
        **{**common.batch(has_noise=bool(draw)), **_batch(program, memory, tensors)},
        **{**calls(functions, has_noise=bool(draw)), "step_calls": stepping},
    )


def _in_cuda(program: Program) -> tuple[str, ...]:
    known = [e for e in program.derivation.network.extents() if e.value is not None]
    text = ", ".join(f"{e.name}\0=\0{e.value}" for e in known)
    lines = textwrap.wrap(f"{text};", WIDTH) if known else []
    return tuple(line.replace("\0", " ") for line in lines)


def _batch(program: Program, memory: DeviceMemory, tensors: Tensors) -> dict[str, Any]:
    """Return how a batch reaches the device, and how outputs are called there."""
    args = [t.name for t in program.network.inputs]
    read = [name for name in args if name in tensors.predicted()]
    results = (
        f'"{label}": {_result(program, memory, name)}'
        for label, name in program.network.outputs.items()
    )
    return {
        "batch_dict": _dict(args),
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


def _draw(program: Program) -> tuple[str, ...]:
    """Return the lines that draw the noise of one step, by the same numbers as on the host."""
    lines: list[str] = []
    for t in program.network.of_role(Role.NOISE):
        assert t.noise is not None
        key, at = zlib.crc32(t.name.encode()), f"a.{t.name}"
        counter = f"np.random.Philox(key=[seed, {key}], counter=[0, 0, 0, step])"
        law = "standard_normal" if t.noise.law == "normal" else "random"
        drawn = f"rng.{law}({at}.shape)"
        if t.noise.law == "bernoulli":
            drawn = f"({drawn} < {t.noise.rate!r})"
        lines.append(f"rng = np.random.Generator({counter})")
        lines.append(f"{at}.set({drawn}.astype({at}.dtype))")
    return tuple(part for line in lines for part in wrapped_code(line))

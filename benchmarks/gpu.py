"""How long a training step takes on a GPU: emitted CuPy modules, and PyTorch where it is installed.

Each network trains with momentum on one batch, which is uploaded in every step; times are medians
over rounds between CUDA events, after a warm-up. PyTorch runs eager, compiled, and compiled with
CUDA graphs, in float32 without TF32, as the emitted modules do. Losses of the first steps are
compared, so that the work is the same.

    python benchmarks/gpu.py            prints the tables
    python benchmarks/gpu.py -o FILE    writes them
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import bpgen as bp
from bpgen.declare.load import zoo

ROUNDS, STEPS, WARM = 20, 50, 20

WIDE = '''"""A perceptron with two hidden layers of 1024."""
import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import momentum

x = bp.input("x", {inputs})
digit = bp.label("digit", classes=10)
h = x
for place, units in enumerate({hidden}, start=1):
    h = relu(linear(h, units, name=f"fc{{place}}"))
logits = linear(h, 10, name="out")
model = bp.Model(softmax_cross_entropy(logits, digit), {{"logits": logits}}, momentum(0.01))
'''
NETWORKS = {
    "64-32-10, batch 32": (64, (32,), 32),
    "784-1024-1024-10, batch 128": (784, (1024, 1024), 128),
    "784-1024-1024-10, batch 4096": (784, (1024, 1024), 4096),
}


def main() -> None:
    """Measure all networks and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path)
    output = parser.parse_args().output
    import cupy

    device = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    lines = [f"# Steps on {device}, CuPy {cupy.__version__}: microseconds, median", ""]
    with tempfile.TemporaryDirectory() as folder:
        for title, (inputs, hidden, batch) in NETWORKS.items():
            lines += [f"- {title}: {row(*network(inputs, hidden, Path(folder)), batch, hidden)}"]
        for name in zoo():
            path = Path(folder) / f"{name}_cupy.py"
            net = bp.load(name).emit("cupy", path)
            lines += [f"- {name}, batch 64: {row(net, net.init(0), 64, None)}"]
    text = "\n".join(lines) + "\n"
    print(text)
    if output:
        output.write_text(text, encoding="utf-8")


def network(inputs: int, hidden: tuple[int, ...], folder: Path) -> tuple[Any, Any]:
    """Return the emitted module of a perceptron, and its first parameters."""
    path = folder / f"mlp{inputs}_{len(hidden)}.py"
    path.write_text(WIDE.format(inputs=inputs, hidden=hidden), encoding="utf-8")
    net: Any = bp.load(path).emit("cupy", folder / f"{path.stem}_cupy.py")
    return net, net.init(0)


def row(net: Any, params: Any, batch: int, hidden: tuple[int, ...] | None) -> str:
    """Return the times of one network, bpgen's first."""
    given = {k: _ready(v) for k, v in net.example(batch).items()}
    times: dict[str, float] = {}
    losses = []
    for graph in (True, False):
        trainer = net.Trainer(net.Params(params.flat.copy()) if hidden else net.init(0), batch)
        trainer.graph = graph
        losses.append(trainer.step(**given))
        name = "one graph" if graph else "launch by launch"
        times[name] = measured(lambda t=trainer: t.start(**given), trainer.stream)
    for name, (loss, time) in in_torch(params, given, hidden).items() if hidden else ():
        assert abs(loss - losses[0]) < 1e-4 * abs(loss), f"{name}: {loss} and {losses[0]}"
        times[name] = time
    return ", ".join(f"{name} {time:.1f}" for name, time in times.items())


def _ready(array: np.ndarray) -> np.ndarray:
    """Return an array as a module takes it without a conversion."""
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def measured(step: Callable[[], None], stream: Any) -> float:
    """Return the median microseconds of a step."""
    import cupy

    for _ in range(WARM):
        step()
    found = []
    for _ in range(ROUNDS):
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record(stream)
        for _ in range(STEPS):
            step()
        end.record(stream)
        end.synchronize()
        found.append(1000 * cupy.cuda.get_elapsed_time(begin, end) / STEPS)
    return median(found)


def in_torch(
    params: Any, given: dict[str, np.ndarray], hidden: tuple[int, ...]
) -> dict[str, tuple[float, float]]:
    """Return the first loss and the time of the same perceptron in PyTorch, way by way."""
    try:
        import cupy
        import torch
    except ImportError:
        return {}
    if not torch.cuda.is_available():
        return {}
    torch.backends.cuda.matmul.allow_tf32 = False
    x = torch.from_numpy(given["x"]).pin_memory()
    digit = torch.from_numpy(given["digit"]).pin_memory()
    found = {}
    for way, options in (
        ("torch eager", None),
        ("torch.compile", {}),
        ("torch.compile with graphs", {"mode": "reduce-overhead"}),
    ):
        sizes = [given["x"].shape[1], *hidden, 10]
        layers: list[Any] = []
        for place, (a, b) in enumerate(pairwise(sizes)):
            linear = torch.nn.Linear(a, b, device="cuda")
            name = f"fc{place + 1}" if place < len(hidden) else "out"
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(getattr(params, f"{name}_W").get().T.copy()))
                linear.bias.copy_(torch.from_numpy(getattr(params, f"{name}_b").get()))
            layers += [linear, torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1])
        run = model if options is None else torch.compile(model, **options)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)

        def step(run: Any = run, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad(set_to_none=True)
            scores = run(x.to("cuda", non_blocking=True))
            loss = torch.nn.functional.cross_entropy(scores, digit.to("cuda", non_blocking=True))
            loss.backward()
            optimizer.step()
            return loss.detach()

        stream = cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream)
        first = float(step())
        found[way] = (first, measured(step, stream))
    return found


if __name__ == "__main__":
    main()

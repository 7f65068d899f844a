"""How long one training step takes: the emitted numpy module and PyTorch eager, on one work.

Both train 64-32-10 with momentum on the same batch of 32, from the same values, in float32, on one
thread. They are timed in turn in one run; the first losses are compared, so that the work is the
same.

    python benchmarks/digits_step.py            prints the table
    python benchmarks/digits_step.py -o FILE    writes it
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read on import

import numpy as np
import torch

import bpgen as bp

BATCH, ROUNDS, STEPS, COMPARED = 32, 60, 200, 10

PLAIN = '''"""The network of the zoo's digits_mlp with the plain cross entropy."""
import bpgen as bp
from bpgen.activations import relu
from bpgen.layers import linear
from bpgen.losses import softmax_cross_entropy
from bpgen.optimizers import momentum

x = bp.input("x", 64)
digit = bp.label("digit", classes=10)
logits = linear(relu(linear(x, 32, name="fc1")), 10, name="fc2")
model = bp.Model(softmax_cross_entropy(logits, digit), {"logits": logits}, momentum(0.1))
'''


def main() -> None:
    """Measure both networks and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path)
    output = parser.parse_args().output
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plain.py"
        path.write_text(PLAIN, encoding="utf-8")
        rows = [
            measured("digits_mlp", "digits_mlp", 0.1, Path(folder)),
            measured("the same, no label smoothing", str(path), 0.0, Path(folder)),
        ]
    text = report(rows)
    print(text)
    if output is not None:
        output.write_text(text + "\n", encoding="utf-8")


def measured(
    title: str, model: str, smoothing: float, folder: Path
) -> tuple[str, list[float], list[float]]:
    """Return the seconds of a step of bpgen and of PyTorch, one median for each round."""
    net: Any = bp.load(model).emit(path=folder / f"step_{smoothing}.py")
    rng = np.random.default_rng(0)
    batch = {"x": rng.random((BATCH, 64), dtype=np.float32), "digit": rng.integers(10, size=BATCH)}
    params = net.init(seed=0)
    theirs = peer(params, batch, smoothing)
    trainer = net.Trainer(params, batch=BATCH)

    def ours() -> float:
        return float(trainer.step(**batch))

    for _ in range(COMPARED):
        a, b = ours(), theirs()
        assert abs(a - b) <= 1e-4 * abs(b), f"the work differs: loss {a} and {b}"
    pairs = [(timed(ours), timed(theirs)) for _ in range(ROUNDS)]
    return title, [a for a, _ in pairs], [b for _, b in pairs]


def peer(params: Any, batch: dict[str, Any], smoothing: float) -> Callable[[], float]:
    """Return the same step in PyTorch eager."""
    fc1, fc2 = torch.nn.Linear(64, 32), torch.nn.Linear(32, 10)
    with torch.no_grad():
        fc1.weight.copy_(torch.tensor(params.fc1_W.T))
        fc1.bias.copy_(torch.tensor(params.fc1_b))
        fc2.weight.copy_(torch.tensor(params.fc2_W.T))
        fc2.bias.copy_(torch.tensor(params.fc2_b))
    model = torch.nn.Sequential(fc1, torch.nn.ReLU(), fc2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)
    x, digit = torch.tensor(batch["x"]), torch.tensor(batch["digit"])

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_of(model(x), digit)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def timed(step: Callable[[], float]) -> float:
    """Return the seconds of one step, over a run of them."""
    begin = time.perf_counter()
    for _ in range(STEPS):
        step()
    return (time.perf_counter() - begin) / STEPS


def report(rows: list[tuple[str, list[float], list[float]]]) -> str:
    """Return the table, with the machine."""
    lines = [
        "# One training step, 64-32-10, batch 32, momentum, float32, one thread",
        "",
        "| network | bpgen, µs (quartiles) | PyTorch, µs (quartiles) | bpgen / PyTorch | faster |",
        "| --- | --- | --- | --- | --- |",
    ]
    for title, ours, theirs in rows:
        ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
        lines.append(
            f"| {title} | {spread(ours)} | {spread(theirs)} | {ratio:.3f} | {1 / ratio:.1f} × |"
        )
    lines += [
        "",
        f"{ROUNDS} rounds of {STEPS} steps each, in turn; the ratio is the median over rounds.",
        f"The first {COMPARED} losses agree to 1e-4.",
        machine(),
    ]
    return "\n".join(lines)


def spread(seconds: list[float]) -> str:
    """Return the median and the quartiles in microseconds."""
    low, _, high = quantiles(seconds, n=4)
    return f"{median(seconds) * 1e6:.1f} ({low * 1e6:.1f} – {high * 1e6:.1f})"


def machine() -> str:
    """Return what the figures were measured on."""
    versions = f"numpy {np.__version__}, PyTorch {torch.__version__}"
    return f"{processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}."


def processor() -> str:
    """Return the name of the processor, as Linux tells it."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor()
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")


if __name__ == "__main__":
    main()

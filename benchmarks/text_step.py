"""How long a training step of the models of text takes: the emitted module and PyTorch eager.

Both train on the same batch of 32 windows, from the same values, in float32, on as many threads.
They are timed in turn in one run; the first losses are compared, so that the work is the same.

    python benchmarks/text_step.py --threads 2            prints the table
    python benchmarks/text_step.py --threads 2 -o FILE    writes it
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("-o", "--output", type=Path)
options = parser.parse_args()
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # read on import
    os.environ[name] = str(options.threads)

import numpy as np  # noqa: E402  after the threads are set
import torch  # noqa: E402  after the threads are set
from torch import nn  # noqa: E402  after the threads are set
from torch.nn import functional  # noqa: E402  after the threads are set

import bpgen as bp  # noqa: E402  after the threads are set

BATCH, ROUNDS, STEPS = 32, 15, 4
BETWEEN = (0.9, 0.999)


def weight(array: Any) -> nn.Parameter:
    """Return a parameter of PyTorch that starts as a copy of `array`."""
    return nn.Parameter(torch.tensor(np.array(array)))


def linear(W: Any, b: Any) -> nn.Linear:
    """Return a layer that starts with the matrix W[in,out]."""
    layer = nn.Linear(*W.shape)
    layer.weight, layer.bias = weight(W.T), weight(b)
    return layer


class Recurrent(nn.Module):
    """An embedding, one recurrent layer and a head."""

    def __init__(self, p: Any, kind: str) -> None:
        """Start from the parameters of the emitted module."""
        super().__init__()
        W, U, b = (getattr(p, f"{kind}_{stem}") for stem in "WUb")
        self.table = nn.Embedding(*p.characters_W.shape, _weight=weight(p.characters_W))
        self.cell = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](W.shape[0], U.shape[0], batch_first=True)
        self.cell.weight_ih_l0, self.cell.weight_hh_l0 = weight(W.T), weight(U.T)
        self.cell.bias_ih_l0, self.cell.bias_hh_l0 = weight(b), weight(np.zeros_like(b))
        if kind == "gru":
            self.cell.bias_hh_l0.data[-U.shape[0] :] = torch.tensor(np.array(p.gru_c))
        self.head = linear(p.head_W, p.head_b)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.head(self.cell(self.table(tokens))[0])


class Block(nn.Module):
    """A block of the transformer, as its model file declares it."""

    def __init__(self, p: Any, b: int) -> None:
        """Start from the parameters of block b."""
        super().__init__()
        own = {
            n.removeprefix("block_"): getattr(p, n)[b] for n in vars(p) if n.startswith("block_")
        }
        d, self.heads, k = own["att_Wq"].shape
        for stem in "qkv":
            bias = own[f"att_b{stem}"].ravel() if stem != "k" else np.zeros(d, np.float32)
            setattr(self, stem, linear(own[f"att_W{stem}"].reshape(d, d), bias))
        self.o = linear(own["att_Wo"].reshape(d, d), own["att_bo"])
        self.up, self.down = (linear(own[f"{n}_W"], own[f"{n}_b"]) for n in ("up", "down"))
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        angle = torch.arange(64)[:, None] * 10000 ** (-torch.arange(0, k, 2) / k)
        self.turn = torch.cos(angle), torch.sin(angle)

    def rotated(self, x: torch.Tensor) -> torch.Tensor:
        """Turn pairs of features by the angle of their position."""
        cosine, sine = self.turn
        even, odd = x[..., 0::2], x[..., 1::2]
        pair = (even * cosine - odd * sine, odd * cosine + even * sine)
        return torch.stack(pair, dim=-1).flatten(-2)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Return what the next block reads."""
        x = self.ln1(h)
        q, k, v = (
            getattr(self, stem)(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for stem in "qkv"
        )
        mixed = functional.scaled_dot_product_attention(
            self.rotated(q), self.rotated(k), v, is_causal=True
        )
        h = h + self.o(mixed.transpose(1, 2).flatten(-2))
        return h + self.down(functional.gelu(self.up(self.ln2(h))))


class Transformer(nn.Module):
    """The transformer of the zoo."""

    def __init__(self, p: Any) -> None:
        """Start from the parameters of the emitted module."""
        super().__init__()
        self.table = nn.Embedding(*p.characters_W.shape, _weight=weight(p.characters_W))
        self.blocks = nn.Sequential(*(Block(p, b) for b in range(len(p.block_up_b))))
        self.ln = nn.LayerNorm(p.characters_W.shape[1])
        self.head = linear(p.head_W, p.head_b)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.head(self.ln(self.blocks(self.table(tokens))))


def peer(name: str, p: Any, batch: dict[str, Any]) -> Callable[[], float]:
    """Return the same step in PyTorch eager."""
    model = Transformer(p) if name == "char_gpt" else Recurrent(p, name.removeprefix("char_"))
    make = torch.optim.AdamW if name == "char_gpt" else torch.optim.Adam
    optimizer = make(model.parameters(), lr=2e-3 if name == "char_gpt" else 3e-3, betas=BETWEEN)
    tokens, following = (torch.tensor(batch[key]) for key in ("tokens", "next_token"))

    def step() -> float:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(tokens).flatten(0, 1), following.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return float(loss.item())

    return step


def timed(step: Callable[[], float]) -> float:
    """Return the seconds of one step, over a run of them."""
    begin = time.perf_counter()
    for _ in range(STEPS):
        step()
    return (time.perf_counter() - begin) / STEPS


def measured(name: str, folder: Path) -> str:
    """Return the row of a model: the milliseconds of both, and their ratio."""
    net: Any = bp.load(name).emit(path=folder / f"{name}_numpy.py")
    batch, params = net.example(BATCH), net.init(seed=0)
    theirs, trainer = peer(name, params, batch), net.Trainer(params, batch=BATCH)

    def ours() -> float:
        return float(trainer.step(**batch))

    for _ in range(2):
        a, b = ours(), theirs()
        assert abs(a - b) <= 1e-3 * abs(b), f"the work differs: loss {a} and {b}"
    pairs = [(timed(ours), timed(theirs)) for _ in range(ROUNDS)]
    ratio = median(a / b for a, b in pairs)
    own, other = (median(times) * 1e3 for times in zip(*pairs, strict=True))
    return f"| {name} | {own:.1f} | {other:.1f} | {ratio:.2f} |"


def main() -> None:
    """Measure every model of text and report."""
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows = [measured(name, Path(folder)) for name in ("char_gpt", "char_lstm", "char_gru")]
    lines = [
        f"One training step, batch {BATCH} of 64 characters, float32, threads: {options.threads}",
        "",
        "| network | bpgen, ms | PyTorch, ms | bpgen / PyTorch |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        f"Medians of {ROUNDS} rounds of {STEPS} steps each, in turn; the ratio is that of a round.",
    ]
    text = "\n".join(lines)
    sys.stdout.write(text + "\n")
    if options.output is not None:
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

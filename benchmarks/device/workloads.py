"""The networks that train on a GPU: declarations, batches, precisions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "workloads"


@dataclass(frozen=True, slots=True)
class Workload:
    """A network to train: `model` is its declaration, `twin` its counterparts in frameworks.

    `optimizer` and `rate` repeat what is declared, for the twins: where they differ, losses do.
    """

    title: str
    model: str
    twin: str
    batch: int
    optimizer: str
    rate: float
    precision: str = "fp32"
    is_small: bool = True

    @property
    def path(self) -> Path:
        """Return the file that declares the network."""
        return FOLDER / f"{self.model}.py"


WIDE = "MLP 784-1024-1024-10"
WORKLOADS = (
    Workload("MLP 64-32-10, batch 32", "digits_momentum", "mlp", 32, "momentum", 0.1),
    Workload(f"{WIDE}, batch 128", "mlp_1024", "mlp", 128, "momentum", 0.01),
    Workload(f"{WIDE}, batch 128, tf32", "mlp_1024", "mlp", 128, "momentum", 0.01, "tf32"),
    Workload(f"{WIDE}, batch 4096", "mlp_1024", "mlp", 4096, "momentum", 0.01),
    Workload(f"{WIDE}, batch 4096, tf32", "mlp_1024", "mlp", 4096, "momentum", 0.01, "tf32"),
    Workload("LSTM, 50 steps, 128 units, batch 32", "lstm", "lstm", 32, "adam", 1e-3),
    Workload(
        "residual block, 64 channels, 32×32, batch 32",
        "residual", "residual", 32, "momentum", 0.01, is_small=False,
    ),
    Workload(
        "GPT-2 124M, 1024 tokens, batch 8, bf16",
        "gpt2", "gpt", 8, "adamw", 1e-3, "bf16", is_small=False,
    ),
)  # fmt: skip

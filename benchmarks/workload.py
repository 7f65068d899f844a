"""The workloads: what is declared, for which batch, and how fast it ought to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "workloads"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on the time of a step, as a multiple of that of another contestant.

    `bounds` are by number of threads.
    """

    bounds: dict[int, float]
    of: str = "torch"


@dataclass(frozen=True, slots=True)
class Workload:
    """A network to train: `model` is its declaration, `twin` its counterparts in frameworks.

    `optimizer` and `rate` repeat what is declared, for the twins: where they differ, losses do.
    Where it is `shared`, threads of Python share the batch, as `bpgen train --threads` lets them;
    else the threads are those of BLAS. A user tries both: a step of some milliseconds gains.
    """

    title: str
    model: str
    twin: str
    batch: int
    optimizer: str
    rate: float
    goals: tuple[Goal, ...]
    peers: tuple[str, ...] = ("torch", "torch_compile", "jax")
    shared: bool = False

    @property
    def path(self) -> Path:
        """Return the file that declares the network."""
        return FOLDER / f"{self.model}.py"

    @property
    def contestants(self) -> tuple[str, ...]:
        """Return who takes part."""
        return ("bpgen", *self.peers)


def goal(one: float, two: float) -> Goal:
    """Return the bound on the step relative to PyTorch eager, with 1 and with 2 threads."""
    return Goal({1: one, 2: two})


def times(factor: float) -> Goal:
    """Return the demand to be so many times as fast as JAX."""
    return Goal({1: 1 / factor, 2: 1 / factor}, of="jax")


ALL = ("torch", "torch_compile", "jax", "sklearn")

WORKLOADS = {
    "digits_momentum": Workload(
        "MLP 64-32-10, batch 32, momentum",
        "digits_momentum", "mlp", 32, "momentum", 0.1, (goal(0.08, 0.06), times(3)), ALL,
    ),
    "digits_adam": Workload(
        "MLP 64-32-10, batch 32, Adam",
        "digits_adam", "mlp", 32, "adam", 1e-3, (goal(0.11, 0.09),), ALL,
    ),
    "mlp_784_64": Workload(
        "MLP 784-256-128-10, batch 64, Adam",
        "mlp_784", "mlp", 64, "adam", 1e-3, (goal(0.65, 0.70),), ALL,
    ),
    "mlp_784_256": Workload(
        "MLP 784-256-128-10, batch 256, Adam",
        "mlp_784", "mlp", 256, "adam", 1e-3, (goal(0.80, 0.80),), ALL,
    ),
    "mlp_wide": Workload(
        "MLP 1024-4096-4096-1000, batch 256, SGD",
        "mlp_wide", "mlp", 256, "sgd", 0.01, (goal(1.0, 1.0),), ALL,
    ),
    "lenet": Workload(
        "LeNet 28×28, batch 64, momentum",
        "lenet", "lenet", 64, "momentum", 0.01, (goal(0.70, 0.80),), shared=True,
    ),
    "residual": Workload(
        "residual block, 64 channels, 32×32, batch 32, batch norm, momentum",
        "residual", "residual", 32, "momentum", 0.01, (goal(1.1, 1.2),), shared=True,
    ),
    "gpt": Workload(
        "GPT, 2 blocks, 4 heads, 128 channels, 64 tokens, batch 16, AdamW",
        "gpt", "gpt", 16, "adamw", 1e-3, (goal(1.0, 1.0), times(1)), shared=True,
    ),
    "lstm": Workload(
        "LSTM, 50 steps, 128 units, batch 32, Adam",
        "lstm", "lstm", 32, "adam", 1e-3, (goal(1.2, 1.3),),
    ),
    "gru": Workload(
        "GRU, 50 steps, 128 units, batch 32, Adam",
        "gru", "gru", 32, "adam", 1e-3, (goal(0.80, 0.85),), shared=True,
    ),
}  # fmt: skip

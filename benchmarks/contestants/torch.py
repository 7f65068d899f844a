"""PyTorch eager, with the fused optimizer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module

import torch
from torch import nn
from torch.nn import functional

from benchmarks.contestants import Case, Step

OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
Compile = Callable[[nn.Module], nn.Module]


def setup(case: Case, prepare: Compile = lambda model: model) -> Step:
    """Return the step of the twin, as `prepare` makes it ready."""
    torch.set_num_threads(case.threads)
    model: nn.Module = import_module(f"benchmarks.twins.{case.workload.twin}_torch").build(
        case.params()
    )
    optimize = OPTIMIZERS[case.workload.optimizer]
    optimizer = optimize(model.parameters(), lr=case.workload.rate, fused=True)
    x, label = (torch.from_numpy(array) for array in case.batch().values())
    run = prepare(model)

    def step() -> float:
        optimizer.zero_grad()
        loss = functional.cross_entropy(run(x).flatten(0, -2), label.flatten())
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step

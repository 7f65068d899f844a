"""The same steps in PyTorch and in JAX: each rival returns a step, a loss first, and its stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.device.workloads import Workload

Arrays = Mapping[str, np.ndarray]
Step = Callable[[], Any]


def in_torch(
    workload: Workload, params: Arrays, batch: Arrays, *, rehearses: bool, mode: str | None
) -> tuple[Step, Any]:
    """Return the step of the twin, and the stream it runs in; `mode` is how it is compiled.

    The batch is copied from pinned memory in every step, as the emitted modules copy theirs.
    """
    import torch
    from torch.nn import functional

    from benchmarks.contestants.torch import OPTIMIZERS

    torch.compiler.reset()  # what was compiled for another network counts against a limit
    device = "cpu" if rehearses else "cuda"
    torch.backends.cuda.matmul.allow_tf32 = workload.precision == "tf32"
    build = import_module(f"benchmarks.twins.{workload.twin}_torch").build
    model = build(params).to(device)
    optimizer = OPTIMIZERS[workload.optimizer](model.parameters(), lr=workload.rate, fused=True)
    held = [torch.from_numpy(array) for array in batch.values()]
    x, label = held if rehearses else [tensor.pin_memory() for tensor in held]
    run = model if mode is None else _compiled(model, mode, rehearses=rehearses)
    half = torch.autocast(device, torch.bfloat16, enabled=workload.precision == "bf16")

    def step() -> Any:
        given, target = (tensor.to(device, non_blocking=True) for tensor in (x, label))
        optimizer.zero_grad(set_to_none=True)
        with half:
            scores = run(given).flatten(0, -2)
            loss = functional.cross_entropy(scores, target.flatten())
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, None if rehearses else _stream(torch.cuda.current_stream().cuda_stream)


def _compiled(model: Any, mode: str, *, rehearses: bool) -> Any:
    import torch

    return torch.compile(model, backend="eager") if rehearses else torch.compile(model, mode=mode)


def _stream(pointer: int) -> Any:
    import cupy

    return cupy.cuda.ExternalStream(pointer)


def in_jax(
    workload: Workload, params: Arrays, batch: Arrays, *, rehearses: bool
) -> tuple[Step, Any]:
    """Return the step of the twin as JAX compiles it, which ends when its loss is there."""
    import jax

    from benchmarks.contestants.jax import OPTIMIZERS

    if not rehearses and jax.default_backend() != "gpu":
        raise RuntimeError("JAX sees no GPU")
    precisions = {"fp32": "float32", "tf32": "tensorfloat32", "bf16": "bfloat16"}
    jax.config.update("jax_default_matmul_precision", precisions[workload.precision])
    twin = import_module(f"benchmarks.twins.{workload.twin}_jax")
    inputs, label = batch.values()
    first, inputs = twin.start(params, inputs)
    held = jax.tree.map(jax.numpy.array, first)
    count, update = OPTIMIZERS[workload.optimizer]
    state: Any = [jax.tree.map(jax.numpy.zeros_like, held) for _ in range(count)]
    now: Any = (held, state, jax.numpy.zeros((), jax.numpy.int32))

    def loss_of(p: Any, x: Any, y: Any) -> Any:
        scores = jax.nn.log_softmax(twin.logits(p, x))
        return -jax.numpy.take_along_axis(scores, y[..., None], axis=-1).mean()

    @partial(jax.jit, donate_argnums=0)
    def one(now: Any, x: Any, y: Any) -> Any:
        p, state, count = now
        loss, gradient = jax.value_and_grad(loss_of)(p, x, y)
        p, state = update(p, gradient, state, count + 1, workload.rate)
        return (p, state, count + 1), loss

    def step() -> Any:
        nonlocal now
        now, loss = one(now, inputs, label)
        return loss

    return step, None

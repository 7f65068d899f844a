"""Other tools that check a gradient written by hand, as their users call them, with their defaults.

Each is given the loss of the emitted float64 module, which is right, and one gradient at one point.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax.test_util import check_grads
from numpy.typing import NDArray

Array = NDArray[Any]
Loss = Callable[[Sequence[Array]], float]

torch.set_num_threads(1)
jax.config.update("jax_enable_x64", True)  # noqa: FBT003  the name says what it is


@dataclass(frozen=True, slots=True)
class Claim:
    """A loss, a point, and what is claimed to be the gradient there."""

    loss: Loss
    at: Sequence[Array]
    gradient: Sequence[Array]


@dataclass(frozen=True, slots=True)
class Said:
    """Whether a tool refutes a claim, and how long it thinks."""

    refutes: bool
    seconds: float


def _torch(claim: Claim, *, fast: bool) -> bool:
    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *given: Any) -> Any:
            del ctx
            found = claim.loss([t.detach().numpy() for t in given])
            return torch.tensor(found, dtype=torch.float64)

        @staticmethod
        def backward(ctx: Any, *seeds: Any) -> Any:
            del ctx
            return tuple(seeds[0] * torch.tensor(g) for g in claim.gradient)

    given = [torch.tensor(v, requires_grad=True) for v in claim.at]
    right = torch.autograd.gradcheck(Function.apply, given, fast_mode=fast, raise_exception=False)
    return not right


def _jax(claim: Claim) -> bool:
    @jax.custom_vjp
    def function(*given: Any) -> Any:
        scalar = jax.ShapeDtypeStruct((), jnp.float64)
        return jax.pure_callback(lambda *v: _scalar(claim, v), scalar, *given)

    def forward(*given: Any) -> tuple[Any, None]:
        return function(*given), None

    def backward(_: None, seed: Any) -> tuple[Any, ...]:
        return tuple(seed * jnp.asarray(g) for g in claim.gradient)

    function.defvjp(forward, backward)
    try:
        check_grads(function, [*map(jnp.asarray, claim.at)], order=1, modes=["rev"])
    except AssertionError:
        return True
    return False


def _scalar(claim: Claim, given: Sequence[Any]) -> np.float64:
    return np.float64(claim.loss([*map(np.array, given)]))


TOOLS: Mapping[str, Callable[[Claim], bool]] = {
    "gradcheck": lambda claim: _torch(claim, fast=False),
    "gradcheck, fast": lambda claim: _torch(claim, fast=True),
    "check_grads": _jax,
}


def asked(claim: Claim) -> dict[str, Said]:
    """Return what every tool says of a claim."""
    found = {}
    for name, refutes in TOOLS.items():
        begin = time.perf_counter()
        answer = refutes(claim)
        found[name] = Said(answer, time.perf_counter() - begin)
    return found

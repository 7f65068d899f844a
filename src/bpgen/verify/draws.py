"""Draws: how the values of a point come from seeds, so that a file of seeds is the point.

A draw needs no declaration: its law, its shape and its seed are the tensor, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from bpgen.ir.tensor import Init, Noise, Tensor
from bpgen.verify.numbers import Array


@dataclass(frozen=True, slots=True)
class Draw:
    """One tensor: `centre + scale · entry`, where entries follow `law` and come from `seed`.

    Laws are `normal`, `uniform` in [0,1), `zero`, `integer` below `scale`, `bernoulli` with rate
    `scale`, and `orthogonal`. Real values are rounded to float32, in the width of float64.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    law: str
    seed: int
    scale: float = 1.0
    centre: float = 0.0

    def wider(self, width: float) -> Draw:
        """Return the draw of normal entries so many times as far from their centre."""
        return replace(self, scale=self.scale * width) if self.law == "normal" else self

    def values(self) -> Array:
        """Return the tensor."""
        rng = np.random.default_rng(self.seed)
        match self.law:
            case "integer":
                return rng.integers(0, int(self.scale), self.shape)
            case "bernoulli":
                return (rng.uniform(size=self.shape) < self.scale).astype(np.float64)
            case "zero":
                entries = np.zeros(self.shape)
            case "uniform":
                entries = rng.uniform(size=self.shape)
            case "orthogonal":
                entries = _orthogonal(self.shape, rng)
            case "normal":
                entries = rng.normal(size=self.shape)
            case _:
                raise AssertionError(f"no draw follows the law {self.law}")
        return single(self.centre + self.scale * entries)


def drawn(draws: Iterable[Draw]) -> dict[str, Array]:
    """Return the tensors by name."""
    return {draw.name: draw.values() for draw in draws}


def draw_of(tensor: Tensor, shape: tuple[int, ...], seed: int, *, positive: bool = False) -> Draw:
    """Return how an input, a label or noise is drawn; `positive` reals lie in (0, 1)."""
    name, role = tensor.name, tensor.role.value
    if tensor.below is not None:
        return Draw(name, role, shape, "integer", seed, tensor.below)
    if tensor.noise is not None:
        return _noise(name, role, shape, tensor.noise, seed)
    return Draw(name, role, shape, "uniform" if positive else "normal", seed)


def start_of(tensor: Tensor, init: Init, shape: tuple[int, ...], seed: int, scale: float) -> Draw:
    """Return how a parameter starts."""
    name, role = tensor.name, tensor.role.value
    match init.law:
        case "constant":
            return Draw(name, role, shape, "zero", seed, 1.0, scale)
        case "uniform":
            return Draw(name, role, shape, "uniform", seed, 2 * scale, -scale)
        case "orthogonal":
            return Draw(name, role, shape, "orthogonal", seed, scale)
        case _:
            return Draw(name, role, shape, "normal", seed, scale)


def spread_of(tensor: Tensor, init: Init, shape: tuple[int, ...], seed: int, scale: float) -> Draw:
    """Return a normal draw as wide as the start; around a constant, far enough to leave it."""
    name, role = tensor.name, tensor.role.value
    widths = {"uniform": scale / np.sqrt(3), "orthogonal": scale / np.sqrt(max(shape, default=1))}
    if init.law == "constant":
        return Draw(name, role, shape, "normal", seed, 0.5, scale)
    return Draw(name, role, shape, "normal", seed, float(widths.get(init.law, scale)))


def single(values: Array) -> Array:
    """Round to float32, in the width of float64."""
    return np.asarray(values, np.float32).astype(np.float64)


def _orthogonal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return matrices of orthonormal columns or rows, in the last two axes."""
    *stack, rows, columns = (1, 1, *shape)[-max(2, len(shape)) :]
    tall = rng.normal(size=(*stack, max(rows, columns), min(rows, columns)))
    q = np.linalg.qr(tall)[0]
    return np.asarray(q if rows >= columns else q.swapaxes(-1, -2)).reshape(shape)


def _noise(name: str, role: str, shape: tuple[int, ...], noise: Noise, seed: int) -> Draw:
    match noise.law:
        case "bernoulli":
            return Draw(name, role, shape, "bernoulli", seed, noise.rate)
        case "uniform":
            return Draw(name, role, shape, "uniform", seed)
        case _:
            return Draw(name, role, shape, "normal", seed)

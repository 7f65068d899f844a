"""Witnesses: points and directions as seeds, and what the right loss and gradient are there.

A witness lets an emitted file be checked again where there is no declaration: its inputs come from
seeds, and what it must compute there is written down with all digits of float64.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from bpgen.ir.derivation import Derivation
from bpgen.ir.network import Network
from bpgen.verify.draws import Draw, drawn
from bpgen.verify.line import Direction, base, inner
from bpgen.verify.numbers import EXTENDED, FLOAT32, FLOAT64, Array, Numbers
from bpgen.verify.points import Point, generic, initial
from bpgen.verify.problem import BUDGET, LARGEST, Problem, problem
from bpgen.verify.rounding import limits

# Examples in a batch, and directions that move every parameter.
_BATCH = 3
_DIRECTIONS = 2
# Of a sum of roundings along a Gaussian direction of length 1: eight standard deviations.
_SPREAD = 8
_BITS = 212
_LOSS = "loss"


@dataclass(frozen=True, slots=True)
class Witness:
    """One point: `draws` give the inputs, `digest` is that of their bytes.

    `slopes` holds g·v of every parameter for each direction, whose seeds are `directions`. `limits`
    are what rounding explains in each dtype, of the loss and of each slope.
    """

    point: str
    draws: tuple[Draw, ...]
    digest: str
    loss: float
    directions: tuple[int, ...]
    slopes: tuple[Mapping[str, float], ...]
    limits: Mapping[str, Mapping[str, float]]


def witnesses(
    network: Network, derivation: Derivation, rng: np.random.Generator
) -> tuple[Witness, ...]:
    """Return what the gradient is at a generic point and where training starts; () if too large.

    In balls where that is quick, else in the widest floats of the machine.
    """
    subject = problem(network, derivation, least=_BATCH)
    if subject.cost > LARGEST:
        return ()
    numbers = _numbers(exact=subject.cost <= BUDGET)
    point = generic(subject, rng)
    points = (point, initial(subject, point, rng))
    return tuple(_witness(subject, p, rng, numbers) for p in points)


def _numbers(*, exact: bool) -> Numbers:
    if not exact or find_spec("flint") is None:
        return EXTENDED
    from bpgen.verify.balls import Balls

    return Balls(_BITS)


def _witness(subject: Problem, point: Point, rng: np.random.Generator, numbers: Numbers) -> Witness:
    at = base(subject, point, numbers)
    seeds = tuple(int(s) for s in rng.integers(2**63, size=_DIRECTIONS))
    shapes = {p.name: subject.shape(p) for p in subject.parameters}
    ways = [direction(shapes, seed) for seed in seeds]
    gradient = at.gradient
    with numbers.working():
        slopes = tuple(
            {
                n: _float(inner(gradient[n], numbers.array(v), numbers), numbers)
                for n, v in w.items()
            }
            for w in ways
        )
    derivation = subject.derivation
    names = {derivation.gradient_of(n): n for n in shapes} | {subject.network.loss: _LOSS}
    true = {tensor: numbers.nearest(at.known[tensor]) for tensor in names}
    allowed = {
        kind.name: {
            names[t]: size if names[t] == _LOSS else _SPREAD * size
            for t, size in limits(at, point, true, kind).items()
        }
        for kind in (FLOAT32, FLOAT64)
    }
    loss = _float(at.known[subject.network.loss][()], numbers)
    return Witness(
        point.name, point.draws, digest(drawn(point.draws)), loss, seeds, slopes, allowed
    )


def direction(shapes: Mapping[str, Sequence[int]], seed: int) -> Direction:
    """Return the Gaussian direction of `seed`: each tensor of expected length 1."""
    rng = np.random.default_rng(seed)
    return {n: rng.normal(size=tuple(s)) / np.sqrt(np.prod(s)) for n, s in shapes.items()}


def digest(values: Mapping[str, Array]) -> str:
    """Return the sha256 of inputs: the seeds give them again, or another numpy does not."""
    found = hashlib.sha256()
    for name in sorted(values):
        array = np.ascontiguousarray(values[name])
        found.update(f"{name}{array.shape}{array.dtype.str}".encode() + array.tobytes())
    return found.hexdigest()


def _float(value: Any, numbers: Numbers) -> float:
    return float(numbers.nearest(np.array([value]))[0])

"""What the equations of a model give at a point, and how far rounding may be from it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bpgen.against.record import Step, recorded
from bpgen.against.replay import Chain
from bpgen.model import Model, load
from bpgen.verify.line import base
from bpgen.verify.numbers import EXTENDED, FLOAT64, Array
from bpgen.verify.points import generic
from bpgen.verify.problem import Problem, problem
from bpgen.verify.rounding import limits


@dataclass(frozen=True, slots=True)
class Truth:
    """A model as the calls that made it, and every tensor of it, gradients too, at one point."""

    problem: Problem
    chain: Chain
    limits: Mapping[str, float]
    seed: int

    @property
    def network(self) -> str:
        """Return the name of the network."""
        return self.problem.network.name

    @property
    def loss(self) -> str:
        """Return the name of the loss."""
        return self.problem.network.loss

    @property
    def parameters(self) -> dict[str, Array]:
        """Return the values of what a gradient is taken by."""
        return {p.name: self.chain.values[p.name] for p in self.problem.parameters}

    def gradient_of(self, name: str) -> str:
        """Return the name of the gradient by the parameter `name`."""
        return self.problem.derivation.gradient_of(name)


def truth(name: str, seed: int | None = None) -> Truth:
    """Run the model file `name`, and evaluate its equations at a point that `seed` draws."""
    with recorded() as steps:
        model = load(name)
    return evaluated(model, tuple(steps), seed)


def evaluated(model: Model, steps: tuple[Step, ...], seed: int | None = None) -> Truth:
    """Evaluate the equations of `model`, which `steps` have made, at a point that `seed` draws."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    subject = problem(model.network, model.derive().derivation)
    point = generic(subject, np.random.default_rng(seed))
    at = base(subject, point, EXTENDED)
    real = {n: at.numbers.nearest(v) for n, v in at.known.items() if v.dtype.kind != "i"}
    chain = Chain(steps, model.names(), {**at.known, **real}, frozenset(at.given))
    return Truth(subject, chain, limits(at, point, real, FLOAT64), seed)

"""Canaries: wrong gradients, planted in every run, that the checker must refute.

A checker that lets one of them pass has no teeth at this point, and its VERIFIED would mean
nothing. Each canary is judged by the same decision, on the same evidence, as the gradient itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from operator import mul

import numpy as np
import sympy

from bpgen.verify.evidence import Outcome, decide, rounding_of, sizes
from bpgen.verify.numbers import Array, Numbers, objects
from bpgen.verify.trial import Trial

Gradient = Mapping[str, Array]
Planted = Iterator[tuple[str, Gradient]]


@dataclass(frozen=True, slots=True)
class Canary:
    """A wrong gradient: what was done to it, and whether it was refuted."""

    what: str
    refuted: bool


def canaries(trial: Trial, rng: np.random.Generator) -> tuple[Canary, ...]:
    """Plant wrong gradients of each kind in tensors drawn at random; return what became of them.

    A change that makes no difference (two equal gradients swapped) is not a wrong gradient, and is
    left out.
    """
    numbers, gradient = trial.base.numbers, trial.base.gradient
    found = []
    with numbers.working():
        for what, wrong in _planted(trial, rng):
            if _differs(gradient, wrong, numbers):
                touched = [s for s in trial.slopes if set(wrong) & set(s.direction)]
                outcome = decide({**gradient, **wrong}, touched, numbers)
                found.append(Canary(what, outcome is Outcome.REFUTES))
    return tuple(found)


def _planted(trial: Trial, rng: np.random.Generator) -> Planted:
    gradient, numbers = trial.base.gradient, trial.base.numbers
    alive = [n for n, size in sizes(gradient, numbers).items() if size > 0]
    if alive:
        yield from _scaled(trial, alive, rng)
        yield from _zeroed(trial, alive, rng)
        yield from _moved(gradient, alive, rng)


def _scaled(trial: Trial, alive: Sequence[str], rng: np.random.Generator) -> Planted:
    """Take a factor too many: a sign, 2, a rounding, the batch size where the loss is a mean."""
    nearly_one = trial.base.numbers.constant(1 + sympy.Rational(1, 10**9))[0]
    free = {str(e): size for e, size in trial.base.problem.extents.items() if e.value is None}
    for text, factor in {"-1": -1, "2": 2, "1 + 1e-9": nearly_one, **free}.items():
        name = str(rng.choice(alive))
        scaled = objects(partial(mul, factor), trial.base.gradient[name])
        yield f"{name} times {text}", {name: scaled}


def _zeroed(trial: Trial, alive: Sequence[str], rng: np.random.Generator) -> Planted:
    """Lose one tensor, and one entry of one."""
    gradient, numbers = trial.base.gradient, trial.base.numbers
    name = str(rng.choice(alive))
    yield f"{name} zero", {name: numbers.array(np.zeros(gradient[name].shape))}
    name = str(rng.choice(alive))
    entries = np.abs(numbers.certain(gradient[name]))
    at = rng.choice(np.flatnonzero(entries > rounding_of(gradient, numbers)))
    wrong = gradient[name].copy()
    wrong.flat[at] = 0 * wrong.flat[at]
    yield f"{name}{list(map(int, np.unravel_index(at, wrong.shape)))} zero", {name: wrong}


def _moved(gradient: Gradient, alive: Sequence[str], rng: np.random.Generator) -> Planted:
    """Transpose a matrix, or read it in that order; exchange two tensors of one shape."""
    matrices = [n for n in alive if gradient[n].ndim == 2]
    if matrices:
        name = str(rng.choice(matrices))
        yield f"{name} transposed", {name: gradient[name].T.reshape(gradient[name].shape)}
    pairs = [p for p in combinations(alive, 2) if len({gradient[n].shape for n in p}) == 1]
    if pairs:
        a, b = pairs[int(rng.integers(len(pairs)))]
        yield f"{a} and {b} swapped", {a: gradient[b], b: gradient[a]}


def _differs(gradient: Gradient, wrong: Gradient, numbers: Numbers) -> bool:
    limit = rounding_of(gradient, numbers)
    changes = (numbers.certain(wrong[n].ravel() - gradient[n].ravel()) for n in wrong)
    return any(np.abs(change).max(initial=0) > limit for change in changes)

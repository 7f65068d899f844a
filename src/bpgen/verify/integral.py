"""The line integral: what an emitted gradient adds up to along a segment is the loss's difference.

    L(θ + b v) - L(θ + a v) = ∫_a^b g(θ + t v) · v dt

It asks nothing of the module but its own loss and gradient, in the dtype it ships in. Quadrature by
Gauss and Legendre is exact to rounding on a smooth piece; pieces are split at switches, and once
more where two quadratures differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from bpgen.verify.emitted import Emitted, Gradient
from bpgen.verify.evidence import Outcome
from bpgen.verify.line import Base, Direction, base
from bpgen.verify.numbers import FLOAT64, NATIVE, Array
from bpgen.verify.points import Point
from bpgen.verify.rounding import limits
from bpgen.verify.segment import Segment, segment

Values = dict[str, Array]
Along = Callable[[Values], tuple[float, Mapping[str, Array]]]

_FINE, _COARSE = 16, 12
_DEPTH = 4
# Roundings of a sum of many numbers: sixteen times those of one.
_ROUNDINGS = 16


@dataclass(frozen=True, slots=True)
class Integral:
    """How far the sum of the gradient is from the difference of the loss.

    `error` is relative to the terms of the sum, `rounding` is what rounding and quadrature explain.
    """

    label: str
    outcome: Outcome
    error: float
    rounding: float
    length: float
    kinks: int
    proved: bool = False

    def __str__(self) -> str:
        """Return the comparison in words."""
        free = "proved free of switches, " if self.proved else ""
        if self.outcome is Outcome.UNDECIDED:
            free = "a switch may lie in a piece, "
        kinks = f"split at {self.kinks} switches, " if self.kinks else free
        return (
            f"{self.label}  length {self.length:.1e}, {kinks}"
            f"|∫ g·v - ΔL| = {self.error:.1e}; rounding explains {self.rounding:.1e}"
        )


def integral(
    label: str,
    gradient: Along,
    start: Values,
    direction: Direction,
    *,
    pieces: Sequence[tuple[float, float]],
    dtype: str,
    slack: float,
) -> Integral:
    """Integrate `gradient` (loss and gradient at parameters) from `start` along `direction`.

    `slack` is what rounding of the loss and of the gradient may come to.
    """
    line = _Line(gradient, start, direction, float(np.finfo(dtype).eps))
    found = [part for a, b in pieces for part in line.parts(a, b, _DEPTH)]
    total = sum(fine for fine, _, _ in found)
    doubt = sum(gap for _, gap, _ in found)
    size = max(sum(terms for _, _, terms in found), line.tiny)
    begin, end = line.loss(pieces[0][0]), line.loss(pieces[-1][1])
    error = abs(total - (end - begin)) / size
    rounding = _ROUNDINGS * line.eps + (slack + 2 * doubt) / size
    refuted = not error <= rounding
    outcome = Outcome.REFUTES if refuted else Outcome.AGREES
    return Integral(label, outcome, error, rounding, pieces[-1][1] - pieces[0][0], len(pieces) - 1)


def integrals(
    emitted: Sequence[Emitted], at: Base, point: Point, direction: Direction
) -> tuple[Integral, ...]:
    """Return the line integral of each emitted gradient through `point`; `at` holds the truth."""
    native = base(at.problem, point, FLOAT64)
    way = segment(native, direction)
    names = {p.name for p in at.problem.parameters}
    batch = {n: v for n, v in native.given.items() if n not in names}
    start = {n: native.given[n] for n in names}
    found = []
    for code in emitted:
        along = partial(_at, code.gradient, batch)
        slack = _slack(at, point, direction, code.dtype)
        result = integral(
            code.label, along, start, direction, pieces=way.pieces, dtype=code.dtype, slack=slack
        )
        if result.outcome is Outcome.REFUTES and not _is_split(at, point, direction, way, start):
            result = replace(result, outcome=Outcome.UNDECIDED)
        found.append(replace(result, proved=way.proved))
    return tuple(found)


def _is_split(at: Base, point: Point, direction: Direction, way: Segment, start: Values) -> bool:
    """Whether no switch is left inside a piece: the formulas' own gradient adds up there.

    A switch that is crossed twice within a piece is not seen by looking at its ends.
    """
    if way.proved:
        return True
    problem = at.problem

    def formulas(params: Values) -> tuple[float, Mapping[str, Array]]:
        known = base(problem, Point("", {**point.values, **params}), FLOAT64)
        return float(known.known[problem.network.loss]), known.gradient

    slack = _slack(at, point, direction, "float64")
    control = integral(
        "formulas", formulas, start, direction, pieces=way.pieces, dtype="float64", slack=slack
    )
    return control.outcome is Outcome.AGREES


def _slack(at: Base, point: Point, direction: Direction, dtype: str) -> float:
    """Return what rounding of the loss at both ends, and of the gradient between, comes to."""
    gradients = {at.problem.derivation.gradient_of(n): n for n in direction}
    names = (at.problem.network.loss, *gradients)
    allowed = limits(at, point, {n: at.numbers.nearest(at.known[n]) for n in names}, NATIVE[dtype])
    sums = (allowed[t] * float(np.abs(direction[n]).sum()) for t, n in gradients.items())
    return 2 * allowed[at.problem.network.loss] + sum(sums)


def _at(gradient: Gradient, batch: Values, params: Values) -> tuple[float, Mapping[str, Array]]:
    return gradient(params, batch)


@dataclass(frozen=True, slots=True)
class _Line:
    gradient: Along
    start: Values
    direction: Direction
    eps: float
    tiny: float = float(np.finfo(np.float64).tiny)

    def _at(self, t: float) -> Values:
        moved = {n: self.start[n] + t * v for n, v in self.direction.items()}
        return {**self.start, **moved}

    def loss(self, t: float) -> float:
        """Return L(θ + t v)."""
        return float(self.gradient(self._at(t))[0])

    def parts(self, a: float, b: float, depth: int) -> list[tuple[float, float, float]]:
        """Return integral, doubt and size of terms of each part of [a, b]."""
        fine, size, wobble = self._quadrature(a, b, _FINE)
        coarse = self._quadrature(a, b, _COARSE)[0]
        gap = abs(fine - coarse)
        if gap <= _ROUNDINGS * self.eps * size or depth == 0:
            return [(fine, max(gap, wobble), size)]
        middle = (a + b) / 2
        return self.parts(a, middle, depth - 1) + self.parts(middle, b, depth - 1)

    def _quadrature(self, a: float, b: float, nodes: int) -> tuple[float, float, float]:
        """Return ∫ g·v, the size of its terms, and what rounding the parameters changes."""
        places, weights = np.polynomial.legendre.leggauss(nodes)
        total = size = wobble = 0.0
        for x, w in zip(places, weights, strict=True):
            t = (a + b) / 2 + x * (b - a) / 2
            here = self._at(t)
            gradient = self.gradient(here)[1]
            terms = {n: gradient[n].astype(np.float64) * v for n, v in self.direction.items()}
            total += w * sum(float(e.sum()) for e in terms.values())
            size += w * sum(float(np.abs(e).sum()) for e in terms.values())
            wobble += (
                w
                * self.eps
                * sum(float(np.abs(gradient[n].astype(np.float64) * here[n]).sum()) for n in terms)
            )
        return total * (b - a) / 2, size * (b - a) / 2, wobble / 2

"""What is wrong with a refuted gradient: the cotangent, the entry, the likely mistake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bpgen.ir.order import Loop, flat, ordered
from bpgen.ir.source import SourceLine
from bpgen.ir.tensor import Tensor
from bpgen.verify.complex_step import SIGNIFICANT, complex_slope, entries
from bpgen.verify.evidence import Outcome
from bpgen.verify.hypotheses import hypothesis
from bpgen.verify.line import Base, base, gaussian
from bpgen.verify.numbers import COMPLEX, Array
from bpgen.verify.trial import Trial


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The first wrong cotangent on the way back from the loss, and what it spoils.

    `entry` is its worst entry, or the only one if the error is too small for float64.
    """

    tensor: str
    where: SourceLine | None
    entry: tuple[int, ...]
    claimed: float
    true: float
    relative: float
    hypothesis: str
    parameters: tuple[str, ...]

    def __str__(self) -> str:
        """Return the facts, one a line."""
        at = f"[{','.join(map(str, self.entry))}]" if self.entry else ""
        lines = [
            f"∂L/∂{self.tensor} is wrong: {self.hypothesis}",
            *([str(self.where)] if self.where else []),
            f"∂L/∂{self.tensor}{at} is derived as {self.claimed:.17g}",
            f"and is {self.true:.17g}: off by {self.relative:.1e} of the tensor's mean size",
            f"wrong with it: {', '.join(self.parameters)}",
        ]
        return "\n".join(lines)


def diagnose(trial: Trial, rng: np.random.Generator) -> Diagnosis | None:
    """Explain why `trial` refutes the gradient; None if no cotangent is refuted by itself.

    Cotangents are tested in the order they become complete: the first wrong one is where the
    mistake is. What a loop computes is not tested: held, it would not feel the turns before.
    """
    problem = trial.base.problem
    loops = [g for g in ordered(problem.forward) if isinstance(g, Loop)]
    inside = {e.out.name for e in flat(loops)}
    adjoints = [a for a in problem.derivation.adjoints.values() if a.of.name not in inside]
    tensors = [a.of for a in adjoints if a.equation.out.name in trial.base.known]
    wrong = [t for t in tensors if _is_refuted(trial, gaussian(problem, [t], rng))]
    if not wrong:
        return None
    culprit = wrong[0]
    parameters = tuple(p.name for p in problem.parameters if p in wrong)
    at = base(problem, trial.point, COMPLEX)
    claimed, true = at.cotangents([culprit.name])[culprit.name].real, entries(at, culprit.name)
    worst = int(np.argmax(np.abs(claimed - true)))
    if abs(claimed.flat[worst] - true.flat[worst]) > SIGNIFICANT * np.abs(true).max():
        what = _swapped(at, culprit, claimed, rng) or hypothesis(claimed, true, _factors(at))
    else:
        worst, what = _bisected(trial, culprit, rng), "an error below the rounding of float64"
    return Diagnosis(
        culprit.name,
        culprit.where,
        tuple(int(k) for k in np.unravel_index(worst, true.shape)),
        float(claimed.flat[worst]),
        float(true.flat[worst]),
        _relative(trial, culprit, worst),
        what,
        parameters,
    )


def _is_refuted(trial: Trial, direction: dict[str, Array]) -> bool:
    claimed = trial.base.cotangents(direction)
    return trial.evidence(direction).outcome(claimed, trial.base.numbers) is Outcome.REFUTES


def _factors(at: Base) -> dict[str, int]:
    return {str(e): size for e, size in at.problem.extents.items() if size > 1}


def _swapped(at: Base, culprit: Tensor, claimed: Array, rng: np.random.Generator) -> str:
    """Say whether `claimed` is the cotangent of another parameter of the same shape."""
    direction = rng.normal(size=claimed.shape)
    expected = float(np.sum(claimed * direction))
    for other in at.problem.parameters:
        if other != culprit and at.problem.shape(other) == claimed.shape:
            found = complex_slope(at, {other.name: direction})
            if abs(found - expected) <= SIGNIFICANT * np.abs(claimed * direction).sum():
                return f"it is ∂L/∂{other.name}: the two are swapped"
    return ""


def _bisected(trial: Trial, tensor: Tensor, rng: np.random.Generator) -> int:
    """Find a wrong entry by halves: a direction over the half that holds it is refuted."""
    shape = trial.base.problem.shape(tensor)
    low, high = 0, int(np.prod(shape))
    while high - low > 1:
        middle = (low + high) // 2
        half = np.zeros(shape)
        half.flat[low:middle] = rng.normal(size=middle - low)
        low, high = (low, middle) if _is_refuted(trial, {tensor.name: half}) else (middle, high)
    return low


def _relative(trial: Trial, tensor: Tensor, entry: int) -> float:
    """Return |derived - true| of one entry, measured by the size of the tensor's entries."""
    unit = np.zeros(trial.base.problem.shape(tensor))
    unit.flat[entry] = 1
    claimed = trial.base.cotangents([tensor.name])
    return trial.evidence({tensor.name: unit}).difference(claimed, trial.base.numbers)[1]

"""The complex step: Im L(θ + i h v) / h, a derivative without a difference that cancels.

Choices act on real parts, and nothing is conjugated, so every formula is analytic along the line.
Source: Martins, Sturdza & Alonso 2003, The complex-step derivative approximation, section 2.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import sympy

from bpgen.verify.evidence import sizes
from bpgen.verify.interpret import evaluate_lanes
from bpgen.verify.line import Base, Direction, along, slope
from bpgen.verify.numbers import Array

# The square of the step is below the rounding of every value it is added to: no truncation error is
# left.
STEP = 1e-20
# Half of the digits of float64. What differs by more than that is not rounding.
SIGNIFICANT = float(np.sqrt(np.finfo(np.float64).eps))
SIGNIFICANT_DIGITS = -float(np.log10(SIGNIFICANT))
# Complex numbers in one tensor of all lanes together: 64 MB.
_MEMORY = 2**22


def complex_slope(at: Base, direction: Direction, moving: Collection[str] = ()) -> float:
    """Return the derivative of the loss along `direction`; held tensors in `moving` are let go."""
    line = along(at, direction, sympy.I * sympy.Rational(STEP))
    values = {name: v for name, v in line.items() if name not in moving}
    return float(at.problem.loss(values, at.numbers).imag) / STEP


def entries(at: Base, tensor: str) -> Array:
    """Return the derivative of the loss by every entry of `tensor`, each on a lane of its own."""
    value = at.known[tensor]
    still = {n: v[np.newaxis] for n, v in at.frozen.items()}
    per_pass = max(1, _MEMORY // max(v.size for v in at.known.values()))
    found = []
    for first in range(0, value.size, per_pass):
        count = min(per_pass, value.size - first)
        lanes = np.tile(value.ravel(), (count, 1))
        lanes[range(count), range(first, first + count)] += 1j * STEP
        moved = {**still, tensor: lanes.reshape(count, *value.shape)}
        known = evaluate_lanes(at.problem.forward, moved, at.problem.extents, at.numbers)
        found.append(known[at.problem.network.loss].imag / STEP)
    return np.concatenate(found).reshape(value.shape)


def disagreement(at: Base, direction: Direction) -> float:
    """Return |complex step - g·v|, relative to the size of the terms of g·v."""
    by_tensor = sizes(at.gradient, at.numbers)
    size = sum(by_tensor[n] for n in direction) or at.loss or 1.0
    claimed = slope(at.gradient, direction, at.numbers).real
    return float(abs(complex_slope(at, direction) - claimed)) / size

"""What is measured at the declared extents, where the proof is at smaller ones.

No bound is proved here: the complex step is exact but for the rounding of float64, and the shipped
module is compared with the formulas read in the widest floats that the machine has; its gradient is
integrated along a segment, and adds up to the difference of its own loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bpgen.ir.derivation import Derivation
from bpgen.ir.network import Network
from bpgen.verify.complex_step import disagreement
from bpgen.verify.emitted import Comparison, Emitted, compare
from bpgen.verify.integral import Integral, integrals
from bpgen.verify.line import base, gaussian, unit
from bpgen.verify.numbers import COMPLEX, EXTENDED
from bpgen.verify.points import generic
from bpgen.verify.problem import LARGEST, problem

# Examples in a batch, and directions that move every parameter at once.
_BATCH = 2
_DIRECTIONS = 3


@dataclass(frozen=True, slots=True)
class Measured:
    """The extents, to how many digits the complex step agrees at worst, and the shipped code.

    Of the code: how its gradient compares with the formulas, and what it adds up to on a segment.
    """

    extents: Mapping[str, int]
    directions: int
    complex_step: float
    emitted: tuple[Comparison, ...]
    integrals: tuple[Integral, ...]


def measured(
    network: Network,
    derivation: Derivation,
    rng: np.random.Generator,
    emitted: Sequence[Emitted] = (),
) -> Measured | None:
    """Measure the gradient of `network` at its declared extents; None if that takes too long."""
    subject = problem(network, derivation, least=_BATCH)
    if subject.cost > LARGEST:
        return None
    point = generic(subject, rng)
    at = base(subject, point, COMPLEX)
    directions = [gaussian(subject, subject.parameters, rng) for _ in range(_DIRECTIONS)]
    error = max(disagreement(at, direction) for direction in directions)
    compared: tuple[Comparison, ...] = ()
    summed: tuple[Integral, ...] = ()
    if emitted:
        truth = base(subject, point, EXTENDED)
        compared = tuple(compare(e, truth, point) for e in emitted)
        summed = integrals(emitted, truth, point, unit(directions[0]))
    extents = {str(e): size for e, size in subject.extents.items()}
    digits = -math.log10(error) if error else COMPLEX.digits
    return Measured(extents, len(directions), digits, compared, summed)

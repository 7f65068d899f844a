"""A quick proof, for tests of many networks: one point, one direction, milliseconds."""

from __future__ import annotations

import numpy as np

from bpgen.ir.derivation import Derivation
from bpgen.ir.network import Network
from bpgen.verify.line import gaussian
from bpgen.verify.points import generic
from bpgen.verify.problem import problem

# With more than 30 digits two formulas agree; no mistake comes near to that by chance.
_DIGITS = 40


def proved_digits(network: Network, derivation: Derivation, seed: int) -> float:
    """Return to how many digits `derivation` is proved right at a random point of `network`.

    One Gaussian direction moves all parameters, and the worst tensor counts. A wrong gradient
    leaves as many digits as it has right, and a point that may lie on a switch proves nothing: 0.
    It stands for a test of the formulas alone; `check` is what a verdict rests on.
    Errors: UndecidedError if the loss is finite at no point; ModuleNotFoundError without flint.
    """
    from bpgen.verify.proof import prove

    rng = np.random.default_rng(seed)
    subject = problem(network, derivation)
    point, direction = generic(subject, rng), gaussian(subject, subject.parameters, rng)
    trial = prove(subject, point, [direction], digits=_DIGITS)
    return 0.0 if trial.undecided else max(0.0, min(trial.digits().values()))

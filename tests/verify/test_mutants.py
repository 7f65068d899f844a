"""No mutant survives: every small mistake in a derivation is refuted with proof."""

import numpy as np
import pytest
import sympy
from tests.verify.mutants import mutants
from tests.verify.planted import mlp

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.verify.evidence import Outcome
from bpgen.verify.line import gaussian
from bpgen.verify.points import generic
from bpgen.verify.problem import problem
from bpgen.verify.proof import prove


def normalised():
    """Each row by its own mean and deviation, then a gain and a shift."""
    x, t = bp.input("x", 5), bp.input("t", 5)
    n, d = x.indices
    gain, shift = bp.parameter("gain", d), bp.parameter("shift", d)
    w = bp.parameter("w", d)
    z = bp.define("z", (n, d), x[n, d] * w[d])
    mean = bp.define("mean", (n,), bp.mean(z[n, d], over=d))
    var = bp.define("var", (n,), bp.mean((z[n, d] - mean[n]) ** 2, over=d))
    y = bp.define("y", (n, d), (z[n, d] - mean[n]) / sympy.sqrt(var[n] + sympy.Rational(1, 10**5)))
    right = y[n, d] * gain[d] + shift[d] - t[n, d]
    return network(bp.define("loss", (), bp.mean(right**2, over=(n, d))), {}, name="normalised")


# A mistake in one entry of a relu shows where that entry is not 0: with every other chance.
_POINTS = 10
NETS = {"smooth": mlp, "piecewise": lambda: mlp(lambda z: sympy.Max(z, 0)), "norm": normalised}


@pytest.mark.parametrize("name", NETS)
def test_every_mutant_is_refuted(name):
    net = NETS[name]()
    random = np.random.default_rng(2)
    every = list(mutants(derive(net)))
    assert len(every) > 100
    survivors = [m for m in every if not is_refuted(problem(net, m.derivation), random)]
    assert [(m.operator, m.what) for m in survivors] == []


def is_refuted(subject, random):
    points = (generic(subject, random) for _ in range(_POINTS))
    directions = (gaussian(subject, subject.parameters, random) for _ in range(_POINTS))
    trials = (prove(subject, *at) for at in zip(points, ([d] for d in directions), strict=True))
    return any(trial.outcome is Outcome.REFUTES for trial in trials)

"""Segments are proved free of switches or split at them; the line integral is right on both."""

from typing import Any

import numpy as np
import pytest
import sympy
from tests.verify.planted import checked, mlp
from tests.verify.test_emitted import emitted

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.verify.equal import equal
from bpgen.verify.evidence import Outcome
from bpgen.verify.integral import integrals
from bpgen.verify.line import base, gaussian, unit
from bpgen.verify.numbers import EXTENDED, FLOAT64
from bpgen.verify.points import generic, initial, trained
from bpgen.verify.problem import lifted, problem
from bpgen.verify.segment import is_free, segment


def relu(z):
    return bp.where(z > 0, z, 0)


@pytest.fixture(scope="module")
def kinked():
    return mlp(relu)


@pytest.fixture(scope="module")
def bent(kinked):
    return derive(kinked)


def at_a_point(net, derivation, numbers=FLOAT64, seed=0):
    subject = problem(net, derivation)
    rng = np.random.default_rng(seed)
    point = generic(subject, rng)
    return base(subject, point, numbers), point, unit(gaussian(subject, subject.parameters, rng))


def test_smooth_formulas_are_proved_free_of_switches(net, derivation):
    at, _, way = at_a_point(net, derivation)
    found = segment(at, way)
    assert (found.kinks, found.proved, found.reach) == ((), True, 0.25)


@pytest.mark.parametrize("seed", range(5))
def test_kinks_are_found_to_the_last_bits(kinked, bent, seed):
    at, _, way = at_a_point(kinked, bent, seed=seed)
    found = segment(at, way)
    pre = kinked.equation_of("z")
    for kink in found.kinks:
        moved = {n: at.known[n] + kink * v for n, v in way.items()}
        z = at.problem.everything({**at.given, **moved}, FLOAT64)[pre.out.name]
        # 48 halvings of 2^-4 leave 2^-52, times how fast z moves
        assert np.abs(z).min() < 1e-13


@pytest.mark.parametrize("seed", range(3))
def test_what_is_proved_free_is_free(kinked, bent, seed):
    at, _, way = at_a_point(kinked, bent, seed=seed)
    reach = next(2.0**-k for k in range(2, 40) if is_free(at, way, 2.0**-k))
    for t in np.linspace(-reach, reach, 101):
        moved = {n: at.known[n] + t * v for n, v in way.items()}
        known = at.problem.everything({**at.given, **moved}, FLOAT64)
        assert np.array_equal(known["z"] > 0, at.known["z"] > 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(5))
def test_the_integral_of_a_right_gradient_is_the_difference_of_the_loss(kinked, bent, dtype, seed):
    at, point, way = at_a_point(kinked, bent, EXTENDED, seed)
    (found,) = integrals([emitted(kinked, bent, dtype)], at, point, way)
    assert found.outcome is Outcome.AGREES, found
    assert found.error < {"float32": 1e-5, "float64": 1e-13}[dtype]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", [relu, sympy.tanh])
def test_the_integral_of_a_wrong_gradient_is_not(dtype, activation):
    net = mlp(activation)
    derivation = derive(net)
    at, point, way = at_a_point(net, derivation, EXTENDED)
    wrong = emitted(net, derivation, dtype, lambda g: {**g, "V": 1.01 * g["V"]})
    (found,) = integrals([wrong], at, point, way)
    assert found.outcome is Outcome.REFUTES, found


def test_training_lowers_the_loss_and_leaves_the_start(net, derivation):
    subject = problem(net, derivation)
    rng = np.random.default_rng(0)
    start = initial(subject, generic(subject, rng), rng)
    later = trained(subject, start)
    losses = [float(subject.loss(lifted(p.values, FLOAT64), FLOAT64)) for p in (start, later)]
    assert losses[1] < 0.9 * losses[0]
    assert all(np.array_equal(later.values[n], start.values[n]) for n in ("x", "answer"))


def test_points_are_drawn_again_from_their_seeds(net, derivation):
    subject = problem(net, derivation)
    rng = np.random.default_rng(0)
    near = generic(subject, rng)
    for point in (near, initial(subject, near, rng)):
        again = {draw.name: draw.values() for draw in point.draws}
        assert again.keys() == point.values.keys()
        assert all(np.array_equal(again[n], v) for n, v in point.values.items())


def test_equal_extents_are_equal_and_a_transposition_fits_there(net, derivation):
    square: Any = equal(problem(net, derivation), np.random.default_rng(0))
    assert len(set(square.extents.values())) == 1
    assert square.shape(square.network.tensors["W"]) == (3, 3)


def test_where_no_two_extents_are_free_there_is_no_square():
    x = bp.input("x", 5)
    n, d = x.indices
    shift, w = bp.parameter("shift", bp.index("e", 7)), bp.parameter("w", d)
    loss = bp.sum(x[n, d] * w[d] * shift[d + 1], over=(n, d))
    net = network(bp.define("loss", (), loss), {}, name="window")
    assert equal(problem(net, derive(net)), np.random.default_rng(0)) is None


def test_the_verdict_names_all_points(net, derivation):
    points = checked(net, derivation, seed=1).agreement.points
    assert points[:1] + points[2:] == (
        "generic",
        "after 8 steps of training",
        "generic, all extents equal",
    )


def test_a_start_on_a_switch_is_moved_and_that_is_reported():
    net = network(*_dead(), name="dead")
    verdict = checked(net, derive(net), seed=1)
    assert verdict.verdict == "VERIFIED", verdict.reason
    assert "initial, moved by 0.001 off a switch" in str(verdict)


def _dead():
    """A unit whose bias and weights start at 0: there its bend is."""
    x = bp.input("x", 5)
    n, d = x.indices
    w, b = (bp.parameter(name, *at, init=bp.init.zeros()) for name, at in (("w", (d,)), ("b", ())))
    z = bp.define("z", (n,), bp.sum(x[n, d] * w[d], over=d) + b[()])
    return bp.define("loss", (), bp.mean((bp.where(z[n] > 0, z[n], z[n] / 9) - 1) ** 2, over=n)), {}

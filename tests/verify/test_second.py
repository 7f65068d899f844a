"""Second derivatives are proved, and a wrong term in a tangent is refuted."""

import math
from dataclasses import replace

import numpy as np
import pytest
import sympy
from tests.verify.planted import mlp, scaled

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive, hessian
from bpgen.ir.equation import Term
from bpgen.verify import check_second
from bpgen.verify.balls import Balls, Series
from bpgen.verify.evidence import Outcome
from bpgen.verify.forms import claims, on_a_grid, taylor
from bpgen.verify.line import base, gaussian
from bpgen.verify.points import generic
from bpgen.verify.problem import problem

pytest.importorskip("flint")


def changed(curvature, name, change):
    """The curvature with the terms of one equation changed."""
    equations = tuple(
        replace(e, terms=change(e)) if e.out.name == name else e
        for e in curvature.network.equations
    )
    assert equations != curvature.network.equations
    return replace(curvature, network=replace(curvature.network, equations=equations))


def lost(place):
    """The change that loses one of several terms."""
    return lambda e: e.terms[:place] + e.terms[place + 1 :]


def lost_addend(equation):
    """The change that loses an addend of a map."""
    (term,) = equation.terms
    first, *rest = sympy.Add.make_args(sympy.expand(term.body))
    assert rest, first
    return (Term(sympy.Add(*rest), term.over),)


@pytest.fixture(scope="module")
def curvature():
    return hessian(derive(mlp()))


def test_the_product_of_a_network_is_verified_to_tens_of_digits(curvature):
    found = check_second(curvature, seed=1, order=4)
    assert found.verdict == "VERIFIED", found.reason
    assert found.product.digits >= 90
    assert all(c.refuted for c in found.product.canaries)
    assert min(c.digits for c in found.claims) >= 90
    assert found.table is not None
    assert found.table.slope(2) == pytest.approx(3, abs=1e-3)
    assert [c.claim is not None for c in found.jet] == [True, True, True, True, False]


MISTAKES = {
    "a sign": ("t_z", scaled(-1)),
    "a factor": ("t_d_u", scaled(2)),
    "a rounding": ("t_d_W", scaled(1 + sympy.Rational(1, 10**12))),
    "the direction": ("t_u", lost(0)),
    "the tangent of the weight": ("t_d_y", lost(0)),
    "the tangent of the slope": ("t_d_z", lost_addend),
    "the tangent of the sum": ("t_d_V", lost(1)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_term_in_a_tangent_is_refuted(curvature, mistake):
    found = check_second(changed(curvature, *MISTAKES[mistake]), seed=1)
    assert found.product.verdict == "REFUTED"
    assert found.verdict == "REFUTED"
    assert found.reason


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_forms_of_the_loss_alone_refute_a_wrong_term_too(curvature, mistake):
    wrong = changed(curvature, *MISTAKES[mistake])
    rng = np.random.default_rng(3)
    subject = problem(curvature.derivation.source, curvature.derivation)
    at = base(subject, generic(subject, rng), Balls(340))
    v, w = (on_a_grid(gaussian(subject, subject.parameters, rng)) for _ in range(2))
    assert {c.outcome for c in claims(at, curvature, v, w)} == {Outcome.AGREES}
    assert Outcome.REFUTES in {c.outcome for c in claims(at, wrong, v, w)}


def test_the_coefficients_of_a_jet_are_those_of_the_function():
    """L = sin(W) along W + t v, v ≠ 0: the coefficients are sin⁽ᵏ⁾(W) vᵏ / k!."""
    W = bp.parameter("W")
    x = bp.input("x")
    (n,) = x.indices
    y = bp.define("y", (n,), sympy.sin(W[()]) + 0 * x[n])
    net = network(bp.define("loss", (), bp.mean(y[n], over=n)), {}, name="sine")
    subject = problem(net, derive(net))
    rng = np.random.default_rng(5)
    at = base(subject, generic(subject, rng), Balls(200))
    direction = {"W": np.array(0.75)}
    value = float(at.known["W"][()])
    truth = [np.sin(value + k * np.pi / 2) * 0.75**k / math.factorial(k) for k in range(7)]
    found = taylor(at, direction, 6)
    np.testing.assert_allclose([float(c) for c in found], truth, rtol=1e-14)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_a_product_of_series_is_that_of_polynomials(order):
    rng = np.random.default_rng(7)
    series = Series(200, order)
    slopes = rng.normal(size=(2, 2, 3, 3))
    with series.working():
        a, b = (series.line(s[0][None], s[1][None]) for s in slopes)
        third = series.product(series.product(a, b), b)
        long = [[third[0, i, j][k] for k in range(order + 1)] for i in range(3) for j in range(3)]
    (a0, a1), (b0, b1) = slopes
    by_power = [
        a0 @ b0 @ b0,
        a1 @ b0 @ b0 + a0 @ b1 @ b0 + a0 @ b0 @ b1,
        a1 @ b1 @ b0 + a1 @ b0 @ b1 + a0 @ b1 @ b1,
        a1 @ b1 @ b1,
        np.zeros((3, 3)),
        np.zeros((3, 3)),
    ]
    found = np.array([[float(c) for c in row] for row in long]).reshape(3, 3, order + 1)
    for power in range(order + 1):
        np.testing.assert_allclose(found[..., power], by_power[power], atol=1e-13)


def test_the_report_says_what_was_shown_and_json_holds_it(curvature):
    found = check_second(curvature, seed=1, order=1)
    text, plain = str(found), found.to_json()
    assert text.startswith("VERIFIED   products with ∂²loss/∂θ² of mlp")
    for title in ("product", "forms", "slopes", "jet"):
        assert f"\n  {title}" in text
    assert plain["verdict"] == "VERIFIED"
    assert [row["order"] for row in plain["jet"]] == [0, 1]
    assert plain["jet"][1]["enclosure"] in text

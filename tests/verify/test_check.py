"""A right gradient is VERIFIED, whatever its scale, with or without flint."""

import sys
from dataclasses import replace

import pytest
import sympy
from tests.verify.planted import checked, mlp, scaled, tampered

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.ir.derivation import Adjoint, Derivation
from bpgen.ir.equation import Equation, Term
from bpgen.ir.expr import Delta
from bpgen.ir.tensor import Role, Tensor
from bpgen.verify import check

SEEDS = range(3)


@pytest.fixture
def without_flint(monkeypatch):
    monkeypatch.setattr(sys.modules[check.__module__], "has_flint", lambda: False)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_right_gradient_is_verified_to_ninety_digits(net, derivation, seed):
    verdict = checked(net, derivation, seed=seed)
    assert verdict.verdict == "VERIFIED", verdict.reason
    assert verdict.digits >= 90
    assert verdict.agreement.proved


def test_the_remainders_fall_as_h_h2_h3(net, derivation):
    table = checked(net, derivation, seed=1).table
    for order in range(3):
        # the slope is order + 1 up to the next term of the expansion, which is h times as large
        assert abs(table.slope(order) - (order + 1)) < 1e-6


def test_a_linear_loss_has_no_remainder():
    x = bp.input("x", 5)
    n, d = x.indices
    w = bp.parameter("w", d)
    net = network(bp.define("loss", (), bp.mean(x[n, d] * w[d], over=(n, d))), {}, name="linear")
    verdict = checked(net, derive(net), seed=1)
    assert verdict.verdict == "VERIFIED", verdict.reason
    assert verdict.table.is_exact(1)
    assert "exact" in str(verdict)


def test_a_derivation_written_by_hand_is_checked_all_the_same():
    x = bp.input("x", 5)
    n, d = x.indices
    w = bp.parameter("w", d)
    z = bp.define("z", (n,), bp.sum(x[n, d] * w[d], over=d))
    net = network(bp.define("loss", (), bp.sum(z[n] ** 3, over=n)), {}, name="cubic")
    tensors = {t.name: t for t in net.tensors.values()}
    read = {name: tensors[name].canonical for name in ("x", "z")}

    def by_hand(factor):
        (batch, axis) = tensors["x"].indices
        out = Tensor("d_w", (axis,), Role.COTANGENT)
        body = factor * read["z"] ** 2 * read["x"]
        equation = Equation(out, (Term(body, (batch,)),))
        both = replace(net, tensors={**tensors, "d_w": out}, equations=(*net.equations, equation))
        return Derivation(net, both, {"w": Adjoint(tensors["w"], equation, ())})

    assert checked(net, by_hand(3), seed=1).verdict == "VERIFIED"
    assert checked(net, by_hand(2), seed=1).verdict == "REFUTED"


def test_a_parameter_whose_gradient_vanishes_is_verified():
    x = bp.input("x", 5)
    n, d = x.indices
    w, shift = bp.parameter("w", d), bp.parameter("shift")
    z = bp.define("z", (n, d), x[n, d] * w[d] + shift[()])
    mean = bp.define("mean", (n,), bp.mean(z[n, d], over=d))
    loss = bp.define("loss", (), bp.mean((z[n, d] - mean[n]) ** 4, over=(n, d)))
    net = network(loss, {}, name="centred")
    verdict = checked(net, derive(net), seed=1)
    assert verdict.verdict == "VERIFIED", verdict.reason
    assert verdict.digits >= 90


@pytest.mark.parametrize("scale", [sympy.Rational(1, 10**6), sympy.Integer(10**6)])
def test_the_verdict_does_not_depend_on_the_scale_of_the_loss(scale):
    net = mlp(scale=scale)
    derivation = derive(net)
    assert checked(net, derivation, seed=1).digits >= 90
    wrong = tampered(derivation, "d_W", scaled(1 + sympy.Rational(1, 10**12)))
    assert checked(net, wrong, seed=1).verdict == "REFUTED"


def test_the_same_seed_gives_the_same_verdict_and_another_seed_another_point(net, derivation):
    first, again, other = (str(checked(net, derivation, seed=s)) for s in (5, 5, 6))
    assert first == again != other


def test_a_fresh_seed_is_drawn_and_stated(net, derivation):
    verdict = checked(net, derivation)
    assert f"seed {verdict.seed}" in str(verdict)
    assert str(checked(net, derivation, seed=verdict.seed)) == str(verdict)


@pytest.mark.usefixtures("without_flint")
def test_without_flint_the_digits_are_estimated_and_the_verdict_says_so(net, derivation):
    verdict = checked(net, derivation, seed=1)
    assert verdict.verdict == "VERIFIED", verdict.reason
    assert 33 <= verdict.digits < 50
    assert "python-flint is missing" in str(verdict)
    assert not verdict.agreement.proved


@pytest.mark.usefixtures("without_flint")
def test_without_flint_a_mistake_of_1e_20_is_refuted(net, derivation):
    wrong = tampered(derivation, "d_V", scaled(1 + sympy.Rational(1, 10**20)))
    verdict = checked(net, wrong, seed=1)
    assert verdict.verdict == "REFUTED"
    assert verdict.diagnosis.tensor == "V"


def test_what_the_labels_of_one_point_hide_shows_at_another():
    seeds = range(40)
    x, label = bp.input("x", 5), bp.label("answer", classes=2)
    n, d = x.indices
    w = bp.parameter("w", d)
    z = bp.define("z", (n,), bp.sum(x[n, d] * w[d], over=d))
    kept = bp.define("kept", (n,), bp.where(sympy.Eq(label[n], 0), sympy.sin(z[n]), 0))
    net = network(bp.define("loss", (), bp.mean(kept[n], over=n)), {}, name="masked")
    entry = scaled(lambda n: 1 + Delta(n, sympy.Integer(1)))
    wrong = tampered(derive(net), "d_z", entry)
    found = [checked(net, wrong, seed=s).verdict for s in seeds]
    # One batch hides it with chance 1/2; more are drawn while they show what none has shown.
    assert found.count("REFUTED") > 0.9 * len(seeds)

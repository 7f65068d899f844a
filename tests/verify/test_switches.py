"""Switches are found and proved, held tensors and canaries tell what the verdict rests on."""

from dataclasses import replace

import pytest
import sympy
from tests.verify.planted import checked, mlp, scaled, tampered

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.verify import canaries
from bpgen.verify.evidence import Outcome

SEEDS = range(3)


def relu(z):
    return sympy.Max(z, 0)


def test_switches_are_counted_with_their_line():
    net = mlp(relu)
    verdict = checked(net, derive(net), seed=1)
    assert verdict.verdict == "VERIFIED", verdict.reason
    points = len(verdict.agreement.points) - 1
    assert verdict.kinks.switches == points * 3 * 7 + 3 * 3  # points of seven units, and a square
    assert 0 < verdict.kinks.distance < 1
    assert "planted.py" in verdict.kinks.nearest


def test_a_point_on_a_switch_is_left_and_the_move_reported():
    net = mlp(relu)
    zero = replace(net.tensors["W"], init=net.tensors["b"].init)
    net = replace(net, tensors={**net.tensors, "W": zero})
    verdict = checked(net, derive(net), seed=1)
    assert verdict.verdict == "VERIFIED", verdict.reason
    assert "moved by 0.001" in verdict.agreement.points[1]


def test_a_tie_for_good_is_harmless():
    x = bp.input("x", 5)
    n, d = x.indices
    w = bp.parameter("w", d)
    clipped = bp.define("clipped", (n, d), relu(x[n, d] - 9) * w[d])
    top = bp.define("top", (n,), bp.max(clipped[n, d], over=d))
    loss = bp.define("loss", (), bp.mean((top[n] + w[0]) ** 2, over=n))
    verdict = checked(net := network(loss, {}, name="ties"), derive(net), seed=1)
    assert verdict.verdict == "VERIFIED", verdict.reason
    assert verdict.kinks.ties > 0


def test_a_true_kink_at_every_point_is_undecided():
    x = bp.input("x", 5)
    n, d = x.indices
    w = bp.parameter("w", d)
    held = bp.define("held", (d,), bp.hold(w[d]))
    bent = x[n, d] * w[d] + relu(w[d] - held[d])
    net = network(bp.define("loss", (), bp.mean(bent**2, over=(n, d))), {}, name="kink")
    verdict = checked(net, derive(net), seed=1)
    assert verdict.verdict == "UNDECIDED"
    assert "switch" in verdict.reason


def far_branch(limit):
    """A network that takes another branch where z < limit, far from where z usually is."""
    x = bp.input("x", 2)
    n, d = x.indices
    w = bp.parameter("w", d, init=bp.init.normal(0.2))
    z = bp.define("z", (n, d), x[n, d] * w[d])
    y = bp.define("y", (n, d), bp.where(z[n, d] < limit, z[n, d] ** 2, sympy.sin(z[n, d])))
    return network(bp.define("loss", (), bp.mean(y[n, d] ** 2, over=(n, d))), {}, name="far")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mistake_in_a_branch_that_is_rarely_taken_is_found(seed):
    net = far_branch(-3)
    z = net.tensors["z"].canonical
    derivation = derive(net)
    assert checked(net, derivation, seed=seed).verdict == "VERIFIED"
    wrong = scaled(lambda n, d: bp.where(z < -3, 2, 1))
    verdict = checked(net, tampered(derivation, "d_z", wrong), seed=seed)
    assert verdict.verdict == "REFUTED"
    assert any("times as wide" in point for point in verdict.agreement.points)


def test_a_branch_that_is_never_taken_is_named():
    net = far_branch(-1e6)
    verdict = checked(net, derive(net), seed=1)
    assert verdict.verdict == "VERIFIED", verdict.reason
    (never,) = verdict.kinks.one_sided
    assert "z[n,d] < -1000000" in never
    assert never.split()[-1] in str(verdict)
    reached = far_branch(-3)
    assert not checked(reached, derive(reached), seed=1).kinks.one_sided


def test_holding_the_shift_of_a_softmax_changes_nothing(net, derivation):
    (shift,) = checked(net, derivation, seed=1).held
    assert (shift.tensor, shift.matters) == ("m", False)


def test_holding_something_that_matters_is_told():
    x = bp.input("x", 5)
    n, d = x.indices
    w = bp.parameter("w", d)
    target = bp.define("target", (n, d), bp.hold(sympy.tanh(x[n, d] * w[d])))
    loss = bp.define("loss", (), bp.mean((w[d] - target[n, d]) ** 2, over=(n, d)))
    verdict = checked(net := network(loss, {}, name="held"), derive(net), seed=1)
    assert verdict.verdict == "VERIFIED", verdict.reason
    assert [h.matters for h in verdict.held] == [True]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_canary_is_refuted(net, derivation, seed):
    planted = checked(net, derivation, seed=seed).canaries
    assert all(canary.refuted for canary in planted)
    kinds = " ".join(canary.what for canary in planted)
    for kind in ("times -1", "times 2", "times 1 + 1e-9", "times N", "zero", "transposed"):
        assert kind in kinds


def test_a_checker_without_teeth_says_so(net, derivation, monkeypatch):
    monkeypatch.setattr(canaries, "decide", lambda *_: Outcome.AGREES)
    verdict = checked(net, derivation, seed=1)
    assert verdict.verdict == "UNDECIDED"
    assert "no teeth" in verdict.reason


def test_a_loss_that_is_nowhere_finite_is_undecided():
    x = bp.input("x", 5)
    n, d = x.indices
    w = bp.parameter("w", d)
    loss = bp.define("loss", (), bp.sum(sympy.log(-(w[d] ** 2)) * x[n, d], over=(n, d)))
    verdict = checked(net := network(loss, {}, name="log"), derive(net), seed=1)
    assert verdict.verdict == "UNDECIDED"
    assert "not finite" in verdict.reason

"""A wrong gradient is REFUTED, and the diagnosis names the tensor, the entry and the mistake."""

import sys

import pytest
import sympy
from tests.verify.planted import checked, mlp, scaled, tampered

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.ir.equation import Term
from bpgen.ir.expr import Access, Delta
from bpgen.verify import check


def without_deltas(equation):
    deltas = {delta: sympy.S.Zero for t in equation.terms for delta in t.body.atoms(Delta)}
    return tuple(t.replaced(deltas) for t in equation.terms)


MISTAKES = {
    "sign": ("d_W", scaled(-1), "W", "its sign is wrong"),
    "twice": ("d_V", scaled(2), "V", "a factor 2 too large"),
    "half": ("d_c", scaled(sympy.Rational(1, 2)), "c", "a factor 2 too small"),
    "zero": ("d_b", scaled(0), "b", "it is zero"),
    "row": ("d_W", scaled(lambda d, h: 1 + Delta(d, sympy.Integer(2))), "W", "index 2 on axis 0"),
    "entry": (
        "d_V",
        scaled(lambda h, k: 1 + Delta(h, sympy.Integer(3)) * Delta(k, sympy.Integer(1))),
        "V",
        "only this entry",
    ),
    "missing term": ("d_u", without_deltas, "u", "no simple mistake"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refuted_and_explained(net, derivation, name):
    where, change, tensor, what = MISTAKES[name]
    verdict = checked(net, tampered(derivation, where, change), seed=1)
    assert verdict.verdict == "REFUTED"
    assert verdict.diagnosis.tensor == tensor
    assert what in verdict.diagnosis.hypothesis
    assert verdict.diagnosis.parameters
    assert (
        not verdict.diagnosis.where
        or verdict.diagnosis.where.file in net.tensors[tensor].where.file
    )


def test_a_batch_size_too_many_is_called_by_its_name(net, derivation):
    (batch,) = [e for e in net.extents() if e.value is None]
    verdict = checked(net, tampered(derivation, "d_V", scaled(batch)), seed=1)
    assert verdict.diagnosis.hypothesis == "a factor N too large (N = 3)"


def test_two_gradients_that_are_swapped_are_told():
    x = bp.input("x", 5)
    n, d = x.indices
    slope, bend = bp.parameter("slope", d), bp.parameter("bend", d)
    z = bp.define("z", (n, d), sympy.tanh(x[n, d] * slope[d]) + x[n, d] ** 2 * bend[d])
    net = network(bp.define("loss", (), bp.mean(z[n, d] ** 3, over=(n, d))), {}, name="two")
    derivation = derive(net)
    terms = {e.out.of: e.terms for e in derivation.backward}
    wrong = tampered(derivation, "d_slope", lambda e: terms["bend"])
    wrong = tampered(wrong, "d_bend", lambda e: terms["slope"])
    verdict = checked(net, wrong, seed=1)
    assert verdict.verdict == "REFUTED"
    assert "swapped" in verdict.diagnosis.hypothesis


@pytest.mark.parametrize("power", [6, 12, 20, 28, 40])
def test_one_entry_off_by_a_tiny_share_is_refuted_and_found(net, derivation, power):
    def off(h, k):
        entry = Delta(h, sympy.Integer(3)) * Delta(k, sympy.Integer(1))
        return 1 + sympy.Rational(1, 10**power) * entry

    verdict = checked(net, tampered(derivation, "d_V", scaled(off)), seed=2)
    assert verdict.verdict == "REFUTED"
    assert (verdict.diagnosis.tensor, verdict.diagnosis.entry) == ("V", (3, 1))
    # it is measured by the root mean square of the tensor, not by that entry
    assert 0.01 < verdict.diagnosis.relative * 10**power < 100


def test_a_mistake_upstream_is_named_where_it_was_made(net, derivation):
    wrong = tampered(derivation, "d_u", scaled(-1))
    diagnosis = checked(net, wrong, seed=1).diagnosis
    assert diagnosis.tensor == "u"
    assert set(diagnosis.parameters) == {"W", "b", "V", "c"}


@pytest.mark.parametrize("has_flint", [True, False], ids=["proved", "estimated"])
def test_a_gradient_that_divides_by_zero_where_the_loss_has_a_slope_is_refuted(
    has_flint, monkeypatch
):
    monkeypatch.setattr(sys.modules[check.__module__], "has_flint", lambda: has_flint)
    net = mlp(lambda z: sympy.Max(z, 0))
    derivation = derive(net)
    (y,) = (e.out for e in net.equations if e.out.name == "y")

    def divided(equation):
        entries = [a for t in equation.terms for a in t.body.atoms(Access) if a.name == y.name]
        return tuple(Term(t.body / entries[0] ** 2, t.over) for t in equation.terms)

    verdict = checked(net, tampered(derivation, "d_V", divided), seed=1)
    assert verdict.verdict == "REFUTED"
    assert verdict.holes == ("d_V",)
    assert "d_V is not finite" in str(verdict)
    assert verdict.digits == 0

"""Every definition and every model keeps its gradient at reduced extents."""

import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lower.strategies import networks
from tests.verify.planted import scaled, tampered

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.verify import proved_digits, reductions
from bpgen.verify.problem import BUDGET, problem

# What no wrong formula reaches by chance.
AGREEMENT = 30
SLIGHTLY = 1 + sympy.Rational(1, 10**12)


def sizes(net):
    return {e.name: e.value for e in net.extents()}


def shown_to_keep_its_gradient(loss_or_net):
    """Prove both reductions; a slip in one cotangent must show in both."""
    net = loss_or_net if hasattr(loss_or_net, "equations") else network(loss_or_net, {}, name="t")
    derivation = derive(net)
    wrong = tampered(derivation, derivation.gradient_of(net.parameters[0].name), scaled(SLIGHTLY))
    declared = sizes(derivation.network)
    for (small, right), (_, slip) in zip(
        reductions(net, derivation), reductions(net, wrong), strict=True
    ):
        small.check()
        right.network.check()
        found = sizes(right.network)
        assert found.keys() == declared.keys()
        assert all(found[n] == size or 2 <= found[n] < size for n, size in declared.items())
        assert proved_digits(small, right, seed=1) > AGREEMENT
        assert proved_digits(small, slip, seed=1) < AGREEMENT
    return small


def mean(y):
    return bp.define("total", (), bp.mean(y[y.indices] ** 2, over=y.indices))


def test_a_model_of_the_zoo(model):
    net = bp.load(model).network
    shown_to_keep_its_gradient(net)
    small, derivation = next(reductions(net, derive(net)))
    assert problem(small, derivation).cost < 10 * BUDGET  # seconds, not minutes


def test_a_layer(layer, declared):
    shown_to_keep_its_gradient(mean(declared(layer)))


def test_a_loss(loss, declared):
    shown_to_keep_its_gradient(declared(loss))


def test_an_activation(activation, tensor):
    shown_to_keep_its_gradient(mean(activation(tensor)))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.data())
def test_a_random_network(data):
    shown_to_keep_its_gradient(data.draw(networks())[0])

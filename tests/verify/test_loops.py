"""Networks with loops are proved as all others are, and wrong gradients of them refuted."""

from dataclasses import replace

import numpy as np
import pytest
import sympy

import bpgen as bp
from bpgen.activations import relu
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.ir.expr import access, accesses
from bpgen.layers import gru, layer_norm, linear, lstm
from bpgen.verify import check
from bpgen.verify.interpret import downstream, evaluate
from bpgen.verify.numbers import FLOAT64

T, D, K = 3, 2, 2


def ended(h):
    loss = bp.define("loss", (), bp.mean(h[h.indices] ** 2, over=h.indices))
    return network(loss, {"h": h}, name="looped")


def networks():
    yield "lstm", ended(lstm(bp.input("x", T, D), K))
    yield "cut", ended(gru(bp.input("x", T, D), K, truncate=2))
    yield (
        "blocks",
        ended(bp.repeat(lambda x: x + relu(linear(layer_norm(x), D)), 3, bp.input("x", D))),
    )
    yield "nested", ended(bp.repeat(lambda x: x + lstm(x, D), 2, bp.input("x", T, D)))


NETWORKS = dict(networks())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_with_loops_is_proved_to_sixty_digits(name):
    net = NETWORKS[name]
    verdict = check(net, derive(net), seed=0)
    assert verdict.verdict == "VERIFIED"
    assert verdict.agreement is not None
    assert verdict.agreement.worst >= 60


def test_a_lost_turn_is_refuted():
    """Without the cotangent of the step after, backpropagation through time is cut."""
    net = NETWORKS["lstm"]
    right = derive(net)
    equations = tuple(
        replace(e, terms=e.terms[1:]) if e.out.name == "d_h" else e for e in right.network.equations
    )
    wrong = replace(right, network=replace(right.network, equations=equations))
    verdict = check(net, wrong, seed=0)
    assert verdict.verdict == "REFUTED"
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.tensor in {p.name for p in net.parameters}


def test_a_state_that_starts_at_the_wrong_turn_is_refuted():
    start = bp.parameter("start", bp.index("k", K))
    net = ended(lstm(bp.input("x", T, D), K, start=(start, 0)))
    right = derive(net)
    equations = tuple(
        e if e.out.name != "d_start" else replace(e, terms=tuple(map(later, e.terms)))
        for e in right.network.equations
    )
    wrong = replace(right, network=replace(right.network, equations=equations))
    verdict = check(net, wrong, seed=0)
    assert verdict.verdict == "REFUTED"
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.tensor == "start"


def later(term):
    """The same sum of entries one turn after."""
    return term.replaced({a: entry(a.name, *a.indices) for a in accesses(term.body)})


def entry(name, n, _, k):
    return access(name, (n, sympy.S.One, k))


def test_a_loop_moves_as_a_whole():
    net = NETWORKS["lstm"]
    moved = downstream(net.equations, ["U1"])
    assert {"h_before", "z", "c", "h", "loss"} <= moved
    assert downstream(net.equations, ["h"]) >= {"h_before", "z"}


def test_a_frozen_state_is_not_computed():
    net = NETWORKS["lstm"]
    rng = np.random.default_rng(0)
    extents = {e: e.value or 2 for e in net.extents()}
    sizes = {t.name: [extents[i.extent] for i in t.indices] for t in net.tensors.values()}
    values = {t.name: rng.normal(size=sizes[t.name]) for t in (*net.parameters, *net.inputs)}
    frozen = rng.normal(size=sizes["c"])
    known = evaluate(net.equations, {**values, "c": frozen}, extents, FLOAT64)
    np.testing.assert_array_equal(known["c"], frozen)
    np.testing.assert_array_equal(known["c_before"][:, 1:], frozen[:, :-1])

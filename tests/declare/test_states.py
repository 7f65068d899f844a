"""States, parameters at rest and tables: what a declaration of them means, and what is refused."""

import numpy as np
import pytest

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.errors import (
    FormulaError,
    FrozenError,
    IndexUseError,
    LossError,
    OptionError,
    ShapeError,
    StateError,
)
from bpgen.ir.tensor import Role
from bpgen.layers import linear
from bpgen.losses import mean_squared_error

D, H = 3, 5
X, Y = bp.input("x", D), bp.input("y", H)
d, h = X.indices[1], Y.indices[1]


def loss_of(z):
    return mean_squared_error(z, Y)


def running(z, name="mean"):
    """A running mean of the columns of z."""
    n, j = z.indices
    state = bp.state(name, j, start=0)
    bp.update(state, 0.9 * state[j] + 0.1 * bp.mean(z[n, j], over=n))
    return state


def shifted(z, state):
    n, j = z.indices
    return bp.define("shifted", (n, j), z[n, j] - state[j])


def test_a_state_is_a_constant_of_the_derivation():
    z = linear(X, H, name="fc")
    net = network(loss_of(shifted(z, running(z))), {}, name="t")
    derivation = derive(net)
    assert [t.name for t in net.parameters] == ["fc_W", "fc_b"]
    assert [t.name for t in net.kept] == ["mean"]
    assert list(derivation.adjoints)[-2:] == ["fc_W", "fc_b"]
    assert "mean" not in derivation.adjoints
    assert derivation.network.updates == net.updates


def test_what_an_update_alone_needs_is_no_forward_equation():
    z = linear(X, H, name="fc")
    net = network(loss_of(shifted(z, running(z))), {}, name="t")
    assert "mean_next" not in {e.out.name for e in net.equations}
    assert [e.out.name for e in net.updates] == ["mean_next", "mean"]


def test_an_update_of_entries_is_carried_out_in_place():
    z = linear(X, H, name="fc")
    total = bp.state("total", h, start=0)
    bias = bp.parameter("bias", h)
    bp.update(total, total[h] + bias[h])
    n, j = z.indices
    moved = bp.define("moved", (n, j), z[n, j] + bias[j] - total[j])
    assert [e.out.name for e in network(loss_of(moved), {}, name="t").updates] == ["total"]


def test_a_state_that_only_another_state_reads_is_kept_too():
    z = linear(X, H, name="fc")
    count = bp.state("count", start=0)
    bp.update(count, count[()] + 1)
    mean = bp.state("mean", h, start=0)
    n, _ = z.indices
    bp.update(mean, mean[h] + (bp.mean(z[n, h], over=n) - mean[h]) / (count[()] + 1))
    net = network(loss_of(shifted(z, mean)), {}, name="t")
    assert {t.name for t in net.kept} == {"mean", "count"}
    # The mean is written while the count still has its value of this step.
    assert [e.out.name for e in net.updates][-2:] == ["mean", "count"]


def test_a_state_that_the_file_names_is_kept_though_nothing_reads_it():
    loss = loss_of(linear(X, H, name="fc"))
    seen = bp.state("seen", start=0)
    bp.update(seen, 0.9 * seen[()] + 0.1 * loss[()])
    assert network(loss, {}, name="t", bound={"seen": seen}).kept
    assert not network(loss, {}, name="t").kept


@pytest.mark.parametrize("frozen", [["fc1"], ["fc1_W", "fc1_b"], "fc1"])
def test_frozen_names_a_layer_or_its_parameters(frozen):
    z = linear(linear(X, 7, name="fc1"), H, name="fc10")
    net = network(loss_of(z), {}, name="t", frozen=frozen)
    assert [t.name for t in net.parameters] == ["fc10_W", "fc10_b"]
    assert [t.role for t in net.kept] == [Role.FROZEN, Role.FROZEN]


def test_a_parameter_can_be_declared_at_rest():
    n = X.indices[0]
    W = bp.parameter("W", d, h, train=False)
    b = bp.parameter("b", h)
    z = bp.define("z", (n, h), bp.sum(X[n, d] * W[d, h], over=d) + b[h])
    net = network(loss_of(z), {}, name="t")
    assert [t.name for t in net.parameters] == ["b"]
    assert [t.name for t in net.kept] == ["W"]


def two_that_read_each_other():
    a, b = bp.state("a", h, start=0), bp.state("b", h, start=1)
    bp.update(a, b[h])
    bp.update(b, a[h])
    return network(loss_of(shifted(linear(X, H), a)), {}, name="t")


def updated_twice():
    state = bp.state("s", h, start=0)
    bp.update(state, state[h] + 1)
    bp.update(state, state[h] + 2)


def with_index(formula):
    state = bp.state("s", h, start=0)
    bp.update(state, formula(state))


WRONG = {
    "an update of a parameter": (lambda: bp.update(bp.parameter("W", h), 0), StateError, "`W`"),
    "two updates": (updated_twice, StateError, "first at test_states.py"),
    "no update": (
        lambda: network(loss_of(shifted(linear(X, H), bp.state("s", h))), {}, name="t"),
        StateError,
        "no next value",
    ),
    "a ring of states": (two_that_read_each_other, StateError, "read each other"),
    "an index from nowhere": (
        lambda: with_index(lambda s: s[h] + X[X.indices]),
        IndexUseError,
        "unknown index `d`",
    ),
    "a start that is no number": (lambda: bp.state("s", h, start="1"), OptionError, "`start`"),
    "a layer that is not there": (
        lambda: network(loss_of(linear(X, H, name="fc1")), {}, name="t", frozen=["fc2"]),
        FrozenError,
        "Did you mean",
    ),
    "nothing left to train": (
        lambda: network(loss_of(linear(X, H, name="fc1")), {}, name="t", frozen=["fc1"]),
        LossError,
        "every parameter is frozen",
    ),
    "too few values": (lambda: bp.table("a", h, [0, 1]), ShapeError, "H = 5; given are 2 parts"),
    "values too deep": (lambda: bp.table("a", h, [[0]] * H), FormulaError, "holds [0]"),
    "values too flat": (lambda: bp.table("a", (h, d), [0] * H), ShapeError, "given are a number"),
    "a value that is none": (lambda: bp.table("a", h, [0.5] * 4 + [np.nan]), FormulaError, "nan"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_use_is_refused_with_its_line(what):
    use, kind, words = WRONG[what]
    with pytest.raises(kind) as caught:
        use()
    assert words in str(caught.value)
    assert caught.value.where is not None
    assert caught.value.where.file == __file__


def test_whole_numbers_are_addresses_and_decimals_are_numbers():
    whole = bp.table("whole", h, np.array([4, 0, 2, 2, 1]))
    real = bp.table("real", (h, d), np.linspace(-1, 1, H * D).reshape(H, D))
    assert whole.tensor.is_integer
    assert whole.tensor.below == 5
    assert not real.tensor.is_integer
    assert real.tensor.values == tuple(np.linspace(-1, 1, H * D))

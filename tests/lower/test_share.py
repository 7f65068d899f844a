"""Which networks let parts of a batch be computed apart, and where the parts meet."""

import pytest
import sympy

import bpgen as bp
from bpgen.declare.load import zoo
from bpgen.ir.program import steps_of
from bpgen.layers import batch_norm, dropout, layer_norm, linear, lstm
from bpgen.losses import l2, softmax_cross_entropy
from bpgen.lower import in_memory
from bpgen.lower.meetings import with_meetings
from bpgen.lower.share import Coupling, Shares, shares_of

D, H, K = 3, 5, 7


def program_of(loss):
    return in_memory(bp.Model(loss=loss).program())


def of(loss):
    found = shares_of(program_of(loss))
    assert isinstance(found, Shares), found
    return found


def hidden():
    return linear(bp.input("x", D), H, name="fc")


def total(power=1, h=None):
    """The sum of all entries of a tensor over the batch, divided by rows^power."""
    h = hidden() if h is None else h
    n, *others = h.indices
    rows = n.extent
    return bp.define("loss", (), bp.sum(h[n, *others] ** 2 / rows**power, over=(n, *others)))


def changed(change):
    """A loss that is a function of a mean over the batch, `s`."""
    h = hidden()
    n, k = h.indices
    s = bp.define("s", (), bp.mean(h[n, k] ** 2, over=(n, k)))
    return bp.define("loss", (), change(s[()]))


@pytest.mark.parametrize("power", [0, 1, 2])
def test_a_loss_that_is_a_sum_over_the_batch_needs_no_meeting(power):
    found = of(total(power))
    assert not found.met
    assert not found.whole


@pytest.mark.parametrize("power", [0, 1])
def test_a_penalty_beside_a_sum_over_the_batch_needs_no_meeting(power):
    h = hidden()
    found = of(total(power, h) + l2(h, strength=0.1))
    assert not found.met
    assert {"loss", "d_fc_W"} <= found.open


@pytest.mark.parametrize("make", [dropout, layer_norm, lambda h: linear(h, K)])
def test_what_reads_its_own_example_alone_needs_no_meeting(make):
    assert not of(total(h=make(hidden()))).met


def test_a_recurrence_over_time_needs_no_meeting():
    assert not of(total(h=lstm(bp.input("x", 2, D), H, name="lstm"))).met


def test_a_sum_of_multiples_of_shares_is_one():
    assert not of(changed(lambda s: 3 * (s + 2) - s / 5)).met


@pytest.mark.parametrize(
    "change", [sympy.exp, lambda s: s**2, lambda s: 1 / s], ids=["exp", "square", "reciprocal"]
)
def test_what_is_not_proportional_to_a_sum_over_the_batch_is_met_for(change):
    found = of(changed(change))
    assert "s" in found.met
    assert "loss" in found.whole


def test_statistics_of_the_batch_are_met_for_and_so_are_their_gradients():
    found = of(total(h=batch_norm(hidden(), name="norm")))
    assert found.met == {"mean1", "var1", "sum_d_xhat1", "xhat1_dot_d_xhat1"}
    assert {"d_fc_W", "d_norm_gain", "d_norm_shift", "loss"} <= found.open


def test_a_meeting_stands_where_each_sum_is_complete_and_nowhere_else():
    h = batch_norm(hidden(), name="norm")
    program = program_of(softmax_cross_entropy(linear(h, K), bp.label("y", classes=K)))
    found = shares_of(program)
    assert isinstance(found, Shares)
    steps = steps_of(with_meetings(program, found).computed)
    meets = [s.equation.out.name for s in steps if s.meets]
    assert sorted(meets) == sorted(found.met)


@pytest.mark.parametrize("name", zoo())
def test_the_examples_of_every_zoo_model_are_shared(name):
    found = shares_of(in_memory(bp.load(name).program()))
    assert not isinstance(found, Coupling), found
    assert bool(found.met) == (name == "resnet_digits")


# ---- what stays coupled ------------------------------------------------------------------------


def coupled(loss):
    found = shares_of(program_of(loss))
    assert isinstance(found, Coupling)
    return found


def test_pairs_of_examples_couple_them():
    h = hidden()
    n, k = h.indices
    m = n.primed()
    near = bp.define("near", (n, m), bp.sum(h[n, k] * h[m, k], over=k))
    found = coupled(bp.define("loss", (), bp.mean(near[n, m] ** 2, over=(n, m))))
    assert found.equation.out.name == "near"


def test_a_sum_for_each_example_over_the_others_couples_them():
    h = hidden()
    n, k = h.indices
    m = n.primed()
    far = bp.define("far", (n, k), bp.sum((h[n, k] - h[m, k]) ** 2, over=m))
    assert "for each example" in coupled(total(h=far)).reason


def test_the_number_of_an_example_couples_it():
    h = hidden()
    n, k = h.indices
    weighed = bp.define("weighed", (n, k), h[n, k] * n)
    assert "its own number" in coupled(total(h=weighed)).reason


def test_one_example_of_the_batch_couples_the_others_to_it():
    h = hidden()
    n, k = h.indices
    first = bp.define("first", (k,), h[0, k])
    apart = bp.define("apart", (n, k), h[n, k] - first[k])
    assert "one example" in coupled(total(h=apart)).reason


def test_the_largest_of_a_batch_couples_it():
    h = hidden()
    n, k = h.indices
    assert "largest" in coupled(bp.define("loss", (), bp.max(h[n, k], over=(n, k)))).reason

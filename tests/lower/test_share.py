"""Which networks let parts of a batch be computed apart, and how the parts are added."""

import pytest
import sympy

import bpgen as bp
from bpgen.layers import batch_norm, dropout, layer_norm, linear, lstm
from bpgen.losses import l2, softmax_cross_entropy
from bpgen.lower.share import Coupling, Shares, shares_of

D, H, K = 3, 5, 7


def of(loss):
    return shares_of(bp.Model(loss=loss).network)


def hidden():
    return linear(bp.input("x", D), H, name="fc")


def total(power=1, h=None):
    """The sum of all entries of a tensor over the batch, divided by rows^power."""
    h = hidden() if h is None else h
    n, *others = h.indices
    rows = n.extent
    return bp.define("loss", (), bp.sum(h[n, *others] ** 2 / rows**power, over=(n, *others)))


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_power_of_the_rows_by_which_a_loss_divides_is_that_of_the_weights(power):
    assert of(total(power)) == Shares(power)


def test_a_penalty_on_parameters_counts_once_beside_a_mean():
    logits = linear(hidden(), K, name="head")
    loss = softmax_cross_entropy(logits, bp.label("y", classes=K)) + l2(logits, strength=0.1)
    assert of(loss) == Shares(1)


def test_a_penalty_beside_a_sum_is_refused():
    h = hidden()
    found = of(total(0, h) + l2(h, strength=0.1))
    assert isinstance(found, Coupling)
    assert "adds what grows with the batch" in found.reason


@pytest.mark.parametrize("make", [dropout, layer_norm, lambda h: linear(h, K)])
def test_what_reads_its_own_example_alone_can_be_shared(make):
    assert of(total(h=make(hidden()))) == Shares(1)


def test_a_recurrence_over_time_can_be_shared():
    assert of(total(h=lstm(bp.input("x", 2, D), H, name="lstm"))) == Shares(1)


def test_statistics_of_the_batch_couple_examples_and_name_the_equation():
    found = of(total(h=batch_norm(hidden(), name="norm")))
    assert isinstance(found, Coupling)
    assert found.equation.out.name == "var1"
    assert "mean1, a sum over the batch" in found.reason


def test_pairs_of_examples_couple_them():
    h = hidden()
    n, k = h.indices
    m = n.primed()
    near = bp.define("near", (n, m), bp.sum(h[n, k] * h[m, k], over=k))
    found = of(bp.define("loss", (), bp.mean(near[n, m] ** 2, over=(n, m))))
    assert isinstance(found, Coupling)
    assert found.equation.out.name == "near"


def test_the_number_of_an_example_couples_it():
    h = hidden()
    n, k = h.indices
    weighed = bp.define("weighed", (n, k), h[n, k] * n)
    found = of(total(h=weighed))
    assert isinstance(found, Coupling)
    assert "its own number" in found.reason


@pytest.mark.parametrize(
    "change", [sympy.exp, lambda s: s**2, lambda s: 1 / s], ids=["exp", "square", "reciprocal"]
)
def test_what_is_not_proportional_to_a_sum_over_the_batch_is_refused(change):
    h = hidden()
    n, k = h.indices
    s = bp.define("s", (), bp.mean(h[n, k] ** 2, over=(n, k)))
    found = of(bp.define("loss", (), change(s[()])))
    assert isinstance(found, Coupling)
    assert "not proportional to s" in found.reason


def test_the_largest_of_a_batch_couples_it():
    h = hidden()
    n, k = h.indices
    found = of(bp.define("loss", (), bp.max(h[n, k], over=(n, k))))
    assert isinstance(found, Coupling)
    assert "largest" in found.reason

"""Every optimizer goes downhill, and its first steps are those that can be reckoned by hand."""

from functools import partial

import numpy as np
import pytest
from tests.catalog.walk import walk

from bpgen.optimizers import adagrad, adam, adamw, lion, momentum, nesterov, rmsprop, sgd

# Rounding only: each value is a few operations away from the formula by hand.
assert_close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12)


def after(optimizer, theta, *gradients):
    """Return θ after steps along given gradients."""
    along = iter(gradients)
    *_, last = walk(optimizer, theta, [lambda _: next(along)] * len(gradients))
    return last


def test_it_goes_downhill(optimizer):
    slopes = np.array([1, 3, 10])
    start = np.array([1, -1, 0.5])
    *_, end = walk(optimizer(0.05), start, [lambda theta: slopes * theta] * 100)
    assert (slopes * end**2).sum() < (slopes * start**2).sum() / 10


def test_a_clipped_step_is_that_of_a_shorter_gradient(optimizer):
    clipped = after(optimizer(0.1, clip=1), [1, 2], [3, 4])
    assert_close(clipped, after(optimizer(0.1), [1, 2], [0.6, 0.8]))
    short = after(optimizer(0.1, clip=10), [1, 2], [3, 4])
    assert_close(short, after(optimizer(0.1), [1, 2], [3, 4]))


def test_its_states_start_at_zero_and_its_name_is_its_own(optimizer):
    made = optimizer()
    assert made.name == optimizer.__name__
    assert len({state.name for state in made.states}) == len(made.states)


def test_a_schedule_takes_the_place_of_the_rate(optimizer):
    scheduled = after(optimizer(lambda t: 1 / t), [5], [1], [1])
    _, second = walk(optimizer(1), [5], [lambda _: [1]] * 2)
    first, _ = walk(optimizer(1), [5], [lambda _: [1]] * 2)
    assert_close(scheduled - first, (second - first) / 2)


BY_HAND = {
    "sgd": (sgd(0.1), 1 - 0.1 * 2, 1 - 0.1 * 2 - 0.1 * 4),
    "momentum": (momentum(0.1), 1 - 0.1 * 2, 0.8 - 0.1 * (0.9 * 2 + 4)),
    "nesterov": (nesterov(0.1), 1 - 0.1 * (2 + 0.9 * 2), 0.62 - 0.1 * (4 + 0.9 * 5.8)),
    "adagrad": (adagrad(0.1, eps=1), 1 - 0.1 * 2 / 3, 1 - 0.2 / 3 - 0.4 / (20**0.5 + 1)),
    "rmsprop": (
        rmsprop(0.1, alpha=0.75, eps=1),
        1 - 0.1 * 2 / (1 + 1),
        0.9 - 0.1 * 4 / ((0.75 * 1 + 0.25 * 16) ** 0.5 + 1),
    ),
    "adam": (
        adam(0.1, beta1=0.5, beta2=0.75, eps=1),
        1 - 0.1 * 2 / (2 + 1),
        1 - 0.2 / 3 - 0.1 * (2.5 / 0.75) / ((4.75 / 0.4375) ** 0.5 + 1),
    ),
    "adamw": (
        adamw(0.1, beta1=0.5, beta2=0.75, eps=1, weight_decay=0.5),
        0.95 - 0.2 / 3,
        (0.95 - 0.2 / 3) * 0.95 - 0.1 * (2.5 / 0.75) / ((4.75 / 0.4375) ** 0.5 + 1),
    ),
    "lion": (lion(0.1, weight_decay=0.5), 1 - 0.1 * (1 + 0.5), 0.85 - 0.1 * (1 + 0.5 * 0.85)),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_the_first_steps_are_those_by_hand(name):
    optimizer, first, second = BY_HAND[name]
    assert_close(after(optimizer, [1], [2]), [first])
    assert_close(after(optimizer, [1], [2], [4]), [second])


def test_lion_stays_where_the_mean_is_zero():
    np.testing.assert_array_equal(after(lion(0.1), [1, 1, 1], [0, -3, 5]), [1, 1.1, 0.9])

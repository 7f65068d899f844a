"""Schedules have the values that can be reckoned by hand."""

import numpy as np
import pytest
from tests.catalog.walk import rate_at

from bpgen.optimizers.schedules import constant, cosine, one_cycle, step

POINTS = {
    "constant": (constant(0.3), {1: 0.3, 1000: 0.3}),
    "step": (step(0.8, every=10, factor=0.5), {1: 0.8, 10: 0.8, 11: 0.4, 20: 0.4, 21: 0.2}),
    "step by a third": (step(0.1, every=3), {1: 0.1, 3: 0.1, 4: 0.01, 6: 0.01, 7: 0.001}),
    "cosine": (cosine(0.4, steps=4), {1: 0.4, 3: 0.2, 5: 0, 9: 0}),
    "cosine above a floor": (cosine(0.4, steps=6, lowest=0.2), {1: 0.4, 3: 0.35, 4: 0.3, 7: 0.2}),
    "cosine after a warm-up": (
        cosine(0.4, steps=6, warmup=2),
        {1: 0.2, 2: 0.4, 3: 0.4, 5: 0.2, 7: 0},
    ),
    "one_cycle": (
        one_cycle(1, steps=20, rising=0.25),
        {1: 0.04, 3: 0.52, 5: 1, 20: 4e-6, 21: 4e-6, 100: 4e-6},
    ),
    "a formula": (lambda t: 1 / t, {1: 1, 4: 0.25}),
}


@pytest.mark.parametrize("name", POINTS)
def test_a_schedule_has_its_values(name):
    schedule, values = POINTS[name]
    found = [rate_at(schedule, t) for t in values]
    # The formulas are exact; the decimals above are a rounding away from what they stand for.
    np.testing.assert_allclose(found, list(values.values()), rtol=1e-15)


@pytest.mark.parametrize("every", [3, 7, 10, 49, 1000])
def test_no_rounding_moves_a_step(every):
    schedule = step(1, every=every, factor=0.5)
    edges = [k * every for k in range(1, 9)]
    assert [rate_at(schedule, t) for t in edges] == [0.5 ** (k - 1) for k in range(1, 9)]
    assert [rate_at(schedule, t + 1) for t in edges] == [0.5**k for k in range(1, 9)]

"""Every definition at twenty random sizes, batch 1 and 3 among them, against torch."""

import numpy as np
import pytest
from tests.oracle import counterparts
from tests.oracle.counterparts import CASES
from tests.oracle.test_emitted_gradients import agrees

from bpgen.errors import BpgenError

pytestmark = pytest.mark.oracle

SIZES = 20
PRIMES = (3, 5, 7, 11, 13)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_agrees_with_torch_at_twenty_random_sizes(case, tmp_path, monkeypatch):
    rng = np.random.default_rng(len(case.name))
    seen = 0
    for attempt in range(40 * SIZES):
        n = (1, 3)[attempt % 2]
        t, d, units = (int(k) for k in rng.choice(PRIMES, 3, replace=False))
        # Heads and groups divide H in some cases, which name it.
        h = int(rng.choice(PRIMES)) if attempt % 4 else counterparts.H
        for name, value in zip(("N", "T", "D", "UNITS", "H"), (n, t, d, units, h), strict=True):
            monkeypatch.setattr(counterparts, name, value)
        try:
            case.network()
        except BpgenError:
            continue  # sizes that this definition refuses
        # What a mask cancels is compared with the loss, and the gradients beside it.
        agrees(case, attempt, tmp_path, relative=1e-11, least=1e-4)
        seen += 1
        if seen == SIZES:
            return
    pytest.fail(f"{seen} sizes fit")

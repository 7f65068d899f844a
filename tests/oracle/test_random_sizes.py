"""Every definition at twenty random sizes, batch 1 and 3 among them, against torch."""

import numpy as np
import pytest
import torch
from tests.oracle import counterparts
from tests.oracle.counterparts import CASES, drawn
from tests.oracle.test_emitted_gradients import emitted

from bpgen.errors import BpgenError

pytestmark = pytest.mark.oracle

# Float64 sums of some hundred terms in another order; relative to the largest entry of each tensor.
RELATIVE = 1e-11
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
        agrees(case, attempt, tmp_path)
        seen += 1
        if seen == SIZES:
            return
    pytest.fail(f"{seen} sizes fit")


def agrees(case, seed, folder):
    network, gradient = emitted(case, folder)
    parameters, batch = drawn(network, seed)
    loss, ours = gradient(parameters, batch)
    theirs = {name: torch.tensor(array, requires_grad=True) for name, array in parameters.items()}
    expected = case.torch_loss(theirs, {name: torch.tensor(a) for name, a in batch.items()})
    expected.backward()
    assert abs(loss - expected.item()) <= RELATIVE * abs(expected.item())
    truths = {name: tensor.grad.numpy() for name, tensor in theirs.items()}
    # What a normalisation or a mask cancels is compared with the loss, and the gradients beside it.
    beside = (np.abs(truth).max() for truth in truths.values())
    least = 1e-4 * max(abs(expected.item()), *beside)
    for name, truth in truths.items():
        scale = max(np.abs(truth).max(), least)
        assert np.abs(ours[name] - truth).max() <= RELATIVE * scale, name

"""The emitted float64 module of every definition gives torch's loss and torch's gradients."""

import numpy as np
import pytest
import torch
from tests.oracle.counterparts import CASES, drawn

from bpgen.derive import derive
from bpgen.emit import module
from bpgen.execute.load import load_module
from bpgen.execute.proof import gradient_of
from bpgen.lower import lower
from bpgen.optimizers import sgd

pytestmark = pytest.mark.oracle

# Float64 sums of some hundred terms in another order; relative to the largest entry of each tensor.
RELATIVE = 1e-12


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


def emitted(case, folder):
    network = case.network()
    text = module(lower(derive(network), sgd()), f"{case.definition}.py", dtype="float64")
    path = folder / f"{case.definition}_numpy.py"
    path.write_text(text, encoding="utf-8")
    return network, gradient_of(load_module(path), network, "float64")


@pytest.mark.parametrize("seed", range(3))
def test_loss_and_gradients_agree_with_torch_to_twelve_digits(case, seed, tmp_path):
    network, gradient = emitted(case, tmp_path)
    parameters, batch = drawn(network, seed)
    loss, ours = gradient(parameters, batch)

    theirs = {name: torch.tensor(array, requires_grad=True) for name, array in parameters.items()}
    expected = case.torch_loss(theirs, {name: torch.tensor(a) for name, a in batch.items()})
    expected.backward()

    assert abs(loss - expected.item()) <= RELATIVE * abs(expected.item())
    for name, tensor in theirs.items():
        assert tensor.grad is not None
        truth = tensor.grad.numpy()
        scale = np.abs(truth).max()
        assert np.abs(ours[name] - truth).max() <= RELATIVE * scale, name

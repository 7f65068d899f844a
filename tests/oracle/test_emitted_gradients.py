"""The emitted float64 module of every definition gives torch's loss and torch's gradients."""

import numpy as np
import pytest
import torch
from tests.oracle.counterparts import CASES, drawn

from bpgen.against import torch as torchs
from bpgen.derive import derive
from bpgen.emit import module
from bpgen.execute.load import load_module
from bpgen.execute.proof import gradient_of
from bpgen.lower import lower
from bpgen.optimizers import sgd

pytestmark = pytest.mark.oracle


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


def emitted(case, folder):
    network = case.network()
    text = module(lower(derive(network), sgd()), f"{case.definition}.py", dtype="float64")
    path = folder / f"{case.definition}_numpy.py"
    path.write_text(text, encoding="utf-8")
    return network, gradient_of(load_module(path), network, "float64")


def agrees(case, seed, folder, relative, least=0.0):
    """Compare with torch, relative to each tensor's largest entry or to `least` of all there is."""
    network, gradient = emitted(case, folder)
    parameters, batch = drawn(network, seed)
    loss, ours = gradient(parameters, batch)
    theirs = {name: torch.tensor(array, requires_grad=True) for name, array in parameters.items()}
    expected = case.loss_in(torchs, theirs, batch)
    expected.backward()

    assert abs(loss - expected.item()) <= relative * abs(expected.item())
    truths = {name: tensor.grad.numpy() for name, tensor in theirs.items()}
    sizes = {name: np.abs(truth).max() for name, truth in truths.items()}
    floor = least * max(abs(expected.item()), *sizes.values())
    for name, truth in truths.items():
        off = np.abs(ours[name] - truth).max()
        assert off <= relative * max(sizes[name], floor), name


@pytest.mark.parametrize("seed", range(3))
def test_loss_and_gradients_agree_with_torch_to_twelve_digits(case, seed, tmp_path):
    # Float64 sums of some hundred terms in another order.
    agrees(case, seed, tmp_path, relative=1e-12)

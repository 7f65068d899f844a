"""Every definition has torch's forward, and derived gradients are torch's gradients."""

import importlib
import pkgutil

import numpy as np
import pytest
import torch
from tests.oracle.counterparts import CASES, N, as_tensors, drawn

from bpgen.derive import derive
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import FLOAT64

pytestmark = pytest.mark.oracle


def definitions(room):
    package = importlib.import_module(f"bpgen.{room}")
    names = {found.name for found in pkgutil.iter_modules(package.__path__)}
    return names & set(package.__all__)


@pytest.mark.parametrize("room", ["activations", "layers", "losses"])
def test_every_definition_has_a_counterpart(room):
    assert definitions(room) <= {case.definition for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("seed", range(3))
def test_the_loss_and_its_gradient_are_those_of_torch(case, seed):
    derivation = derive(case.network())
    parameters, batch = drawn(derivation.source, seed)
    extents = {e: e.value or N for e in derivation.network.extents()}
    known = evaluate(derivation.network.equations, {**parameters, **batch}, extents, FLOAT64)

    theirs = as_tensors(parameters, grad=True)
    loss = case.torch_loss(theirs, as_tensors(batch))
    slopes = torch.autograd.grad(loss, list(theirs.values()))

    # Rounding of float64 sums of some hundred terms, in another order.
    np.testing.assert_allclose(known[derivation.source.loss], loss.item(), rtol=1e-12)
    for name, slope in zip(theirs, slopes, strict=True):
        ours = known[derivation.gradient_of(name)]
        np.testing.assert_allclose(ours, slope, rtol=1e-10, atol=1e-13, err_msg=name)

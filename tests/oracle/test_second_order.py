"""Products with the Hessian, as emitted, are torch's double backward and jax's forward over reverse."""

import numpy as np
import pytest
import torch
from tests.oracle.counterparts import CASES, drawn

import bpgen as bp
from bpgen.derive import derive, gauss_newton, hessian
from bpgen.emit import module
from bpgen.execute.load import load_module
from bpgen.execute.proof import product_of
from bpgen.lower import lower
from bpgen.optimizers import sgd
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import FLOAT64

pytestmark = pytest.mark.oracle

# Sums of some hundred terms in another order, once more through the network than for a gradient.
RELATIVE = 1e-11


def double_backward(loss_of, parameters, batch, direction):
    """The Hessian times `direction`, by torch."""
    theirs = {name: torch.tensor(array, requires_grad=True) for name, array in parameters.items()}
    loss = loss_of(theirs, {name: torch.tensor(array) for name, array in batch.items()})
    gradient = torch.autograd.grad(loss, list(theirs.values()), create_graph=True)
    slope = sum(
        (g * torch.tensor(direction[n])).sum() for n, g in zip(theirs, gradient, strict=True)
    )
    found = torch.autograd.grad(
        slope, list(theirs.values()), allow_unused=True, materialize_grads=True
    )
    return {name: f.numpy() for name, f in zip(theirs, found, strict=True)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_products_agree_with_torch_to_eleven_digits(case, tmp_path):
    network = case.network()
    curvature = hessian(derive(network))
    path = tmp_path / "products_numpy.py"
    text = module(lower(curvature.derivation, sgd(), curvature), "case.py", dtype="float64")
    path.write_text(text, encoding="utf-8")
    parameters, batch = drawn(network, 0)
    rng = np.random.default_rng(1)
    v = {name: rng.normal(size=array.shape) for name, array in parameters.items()}
    along = {curvature.directions[name]: array for name, array in v.items()}

    _, ours = product_of(load_module(path), curvature, "float64")(parameters, {**batch, **along})
    theirs = double_backward(case.torch_loss, parameters, batch, v)

    largest = max(np.abs(array).max() for array in theirs.values())
    for name, truth in theirs.items():
        assert np.abs(ours[name] - truth).max() <= RELATIVE * largest, name

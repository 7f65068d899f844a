"""Products with the Hessian are torch's double backward; Gauss and Newton's, its Jacobians'."""

import numpy as np
import pytest
import torch
from tests.oracle.counterparts import CASES, drawn
from torch.nn.attention import SDPBackend, sdpa_kernel

import bpgen as bp
from bpgen import activations
from bpgen.against import torch as torchs
from bpgen.declare.network import network
from bpgen.derive import derive, gauss_newton, hessian
from bpgen.emit import module
from bpgen.execute.load import load_module
from bpgen.execute.proof import product_of
from bpgen.layers import linear
from bpgen.losses import softmax_cross_entropy
from bpgen.lower import lower
from bpgen.optimizers import sgd
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import FLOAT64

pytestmark = pytest.mark.oracle

# Sums of some hundred terms in another order, once more through the network than for a gradient.
RELATIVE = 1e-11


def double_backward(case, parameters, batch, direction):
    """The Hessian times `direction`, by torch."""
    theirs = {name: torch.tensor(array, requires_grad=True) for name, array in parameters.items()}
    # The fused attention of torch has no second derivative; the one of plain products has.
    with sdpa_kernel(SDPBackend.MATH):
        loss = case.loss_in(torchs, theirs, batch)
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
    net = case.network()
    curvature = hessian(derive(net))
    path = tmp_path / "products_numpy.py"
    text = module(lower(curvature.derivation, sgd(), curvature), "case.py", dtype="float64")
    path.write_text(text, encoding="utf-8")
    parameters, batch = drawn(net, 0)
    rng = np.random.default_rng(1)
    v = {name: rng.normal(size=array.shape) for name, array in parameters.items()}
    along = {curvature.directions[name]: array for name, array in v.items()}

    _, ours = product_of(load_module(path), curvature, "float64")(parameters, {**batch, **along})
    theirs = double_backward(case, parameters, batch, v)

    largest = max(np.abs(array).max() for array in theirs.values())
    for name, truth in theirs.items():
        assert np.abs(ours[name] - truth).max() <= RELATIVE * largest, name


# torch.func imports what torch itself calls deprecated.
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_the_product_of_gauss_and_newton_is_that_of_torchs_jacobian():
    x, label = bp.input("x", 5), bp.label("answer", classes=11)
    h = activations.tanh(linear(x, 7, name="fc1"))
    logits = linear(h, 11, name="fc2")
    net = network(softmax_cross_entropy(logits, label), {"logits": logits}, name="mlp")
    curvature = gauss_newton(derive(net))
    assert curvature is not None
    parameters, batch = drawn(net, 0)
    rng = np.random.default_rng(1)
    v = {name: rng.normal(size=array.shape) for name, array in parameters.items()}
    along = {curvature.directions[name]: array for name, array in v.items()}
    extents = {e: e.value or len(batch["x"]) for e in curvature.network.extents()}
    values = {**parameters, **batch, **along}
    known = evaluate(curvature.network.equations, values, extents, FLOAT64)

    given = {name: torch.tensor(array) for name, array in batch.items()}
    theirs = {name: torch.tensor(array) for name, array in parameters.items()}

    def outputs(p):
        h = torch.tanh(given["x"] @ p["fc1_W"] + p["fc1_b"])
        return h @ p["fc2_W"] + p["fc2_b"]

    def loss(z):
        return torch.nn.functional.cross_entropy(z, given["answer"])

    moved = {name: torch.tensor(array) for name, array in v.items()}
    z, Jv = torch.func.jvp(outputs, (theirs,), (moved,))
    _, HJv = torch.func.jvp(torch.func.grad(loss), (z,), (Jv,))
    (expected,) = torch.func.vjp(outputs, theirs)[1](HJv)
    for name, truth in expected.items():
        error = np.abs(known[curvature.parts[name]] - truth.numpy()).max()
        assert error <= RELATIVE * truth.abs().max().item(), name

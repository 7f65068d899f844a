"""Every definition has the forward and the gradient of two frameworks, torch and jax."""

import importlib
import pkgutil

import numpy as np
import pytest
from tests.oracle.counterparts import CASES, N, drawn

from bpgen.against import jax, torch
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
@pytest.mark.parametrize(("framework", "seed"), [(torch, 0), (torch, 1), (torch, 2), (jax, 0)])
def test_the_loss_and_its_gradient_are_those_of_the_framework(case, framework, seed):
    derivation = derive(case.network())
    parameters, batch = drawn(derivation.source, seed)
    extents = {e: e.value or N for e in derivation.network.extents()}
    known = evaluate(derivation.network.equations, {**parameters, **batch}, extents, FLOAT64)

    theirs = {name: framework.tensor(array) for name, array in parameters.items()}
    loss, slopes = framework.differentiated(lambda p: case.loss_in(framework, p, batch), theirs)

    # Rounding of float64 sums of some hundred terms, in another order.
    np.testing.assert_allclose(known[derivation.source.loss], framework.array(loss), rtol=1e-12)
    assert [*slopes] == [*parameters]
    for name, slope in slopes.items():
        ours = known[derivation.gradient_of(name)]
        np.testing.assert_allclose(ours, slope, rtol=1e-10, atol=1e-13, err_msg=name)

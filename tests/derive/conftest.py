"""How the tests of derivation declare, derive, and compare with the forward formulas alone."""

import numpy as np
import pytest

from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.ir.tensor import GIVEN
from bpgen.spell import FormulaSpeller, order_of
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import COMPLEX, FLOAT64

N = 2


@pytest.fixture
def derived():
    """Derive a loss, and see that every gradient is the complex step of the forward formulas."""

    def run(loss, **outputs):
        derivation = derive(network(loss, outputs, name="test"))
        check(derivation)
        return derivation

    return run


@pytest.fixture
def formula():
    """The line of one cotangent: `formula(derivation, "z")` is `∂L/∂z[n,h] = …`."""

    def spelled(derivation, name):
        speller = FormulaSpeller(order_of(derivation.network.tensors.values()))
        return speller.equation(derivation.adjoints[name].equation)

    return spelled


def values_of(net, seed=0):
    rng = np.random.default_rng(seed)
    values = {}
    for tensor in net.tensors.values():
        if tensor.role in GIVEN:
            shape = [e or N for e in tensor.shape]
            whole = tensor.below is not None
            drawn = rng.integers(tensor.below, size=shape) if whole else rng.normal(size=shape)
            values[tensor.name] = drawn
    return values


def check(derivation, h=1e-20):
    net = derivation.source
    extents = {e: e.value or N for e in derivation.network.extents()}
    values = values_of(net)
    known = evaluate(derivation.network.equations, values, extents, FLOAT64)
    frozen = {t.name: known[t.name] for t in net.tensors.values() if t.role.value == "constant"}
    for parameter in net.parameters:
        gradient = known[derivation.gradient_of(parameter.name)]
        for place in np.ndindex(values[parameter.name].shape):
            moved = {k: v.astype(complex) if v.dtype.kind == "f" else v for k, v in values.items()}
            moved[parameter.name][place] += 1j * h
            held = {k: np.asarray(v, complex) for k, v in frozen.items()}
            loss = evaluate(net.equations, {**moved, **held}, extents, COMPLEX)[net.loss]
            scale = max(abs(gradient).max(), 1e-300)
            # The complex step has no cancellation: what is left is rounding of both sides.
            assert abs(loss.imag / h - gradient[place]) <= 1e-12 * scale, (parameter.name, place)

"""A program means what its equations mean, whatever lowering and spelling decide."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from tests.derive.conftest import check, values_of
from tests.lower.strategies import networks

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.emit import module
from bpgen.execute.load import load_module
from bpgen.execute.proof import gradient_of
from bpgen.ir.program import Contract, steps_of
from bpgen.lower import lower
from bpgen.optimizers import sgd
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import FLOAT64

N = 2
few = settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@few
@given(networks())
def test_a_random_emitted_module_gives_the_interpreters_values(tmp_path_factory, declared):
    net = network(*declared, name="random")
    derivation = derive(net)
    text = module(lower(derivation, sgd()), "random.py", dtype="float64")
    path = tmp_path_factory.mktemp("emitted") / "random_numpy.py"
    path.write_text(text, encoding="utf-8")
    values = values_of(net)
    extents = {e: e.value or N for e in derivation.network.extents()}
    known = evaluate(derivation.network.equations, values, extents, FLOAT64)

    loss, gradient = gradient_of(load_module(path), net, "float64")(values, values)

    # Sums of float64 in another order, through at most a dozen layers.
    np.testing.assert_allclose(loss, known[net.loss], rtol=1e-10)
    largest = max(np.abs(known[f"d_{t.name}"]).max() for t in net.parameters)
    for t in net.parameters:
        assert np.abs(gradient[t.name] - known[f"d_{t.name}"]).max() <= 1e-10 * largest, t.name


@few
@given(networks())
def test_the_derived_gradient_of_a_random_network_is_its_complex_step(declared):
    loss, outputs = declared
    check(derive(network(loss, outputs, name="random")))


@few
@given(networks())
def test_every_buffer_is_assigned_once_and_then_added_to(declared):
    program = lower(derive(network(*declared, name="random")), sgd())
    program.check()
    for step in steps_of(program.forward + program.loss + program.backward):
        first, *rest = step.statements
        assert not getattr(first, "accumulate", False)
        assert all(getattr(s, "accumulate", False) for s in rest)


@few
@given(networks())
def test_nothing_is_computed_that_nothing_needs(declared):
    program = lower(derive(network(*declared, name="random")), sgd())
    steps = steps_of(program.forward + program.loss + program.backward)
    read = {name for s in steps for name in s.equation.reads()}
    wanted = {program.network.loss, *program.network.outputs.values()}
    wanted |= {program.derivation.gradient_of(t.name) for t in program.network.parameters}
    assert all(s.equation.out.name in read | wanted for s in steps)


def test_a_product_of_three_factors_becomes_one_of_two():
    x = bp.input("x", 5)
    n, d = x.indices
    h = bp.index("h", 7)
    W, c = bp.parameter("W", d, h), bp.parameter("c", d)
    y = bp.define("y", (n, h), bp.sum(c[d] * x[n, d] * W[d, h], over=d))
    loss = bp.define("L", (), bp.mean(y[n, h] ** 2, over=(n, h)))
    program = lower(derive(network(loss, {"y": y}, name="t")), sgd())
    (statement,) = steps_of(program.forward)[0].statements
    assert isinstance(statement, Contract)
    assert len(statement.factors) == 2

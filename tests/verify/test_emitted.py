"""Emitted code is held to rounding, in the precision it ships in, and to the dtype it promises."""

import numpy as np
import pytest

from bpgen.verify import Emitted, check
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import FLOAT32, FLOAT64
from bpgen.verify.problem import problem

NUMBERS = {"float32": FLOAT32, "float64": FLOAT64}


@pytest.fixture(params=NUMBERS)
def dtype(request):
    return request.param


def emitted(net, derivation, dtype, change=lambda gradient: gradient, *, batch=3):
    """What an emitted module would return: here, the equations read in its dtype, and `change`d.

    `batch` is the size of its batch, if it is a prime that no other extent has.
    """
    subject = problem(net, derivation, least=batch)

    def gradient(params, given):
        known = evaluate(
            derivation.network.equations, {**params, **given}, subject.extents, NUMBERS[dtype]
        )
        return float(known[net.loss]), change(dict(subject.gradient(known)))

    return Emitted(f"numpy {dtype}", dtype, gradient)


def verdict_on(net, derivation, dtype, change=lambda gradient: gradient):
    return check(net, derivation, seed=1, emitted=[emitted(net, derivation, dtype, change)])


def test_honest_code_is_within_rounding(net, derivation, dtype):
    verdict = verdict_on(net, derivation, dtype)
    assert verdict.verdict == "VERIFIED", verdict.reason
    # a few roundings per entry; 16 units in the last place leave room for all of them
    assert 0 < verdict.emitted[0].error < 16 * np.finfo(dtype).eps


FAULTS = {
    "is missing": (lambda g: {n: v for n, v in g.items() if n != "W"}, "no gradient of W"),
    "has another dtype": (lambda g: {**g, "b": g["b"].astype(np.float16)}, "float16"),
    "has another shape": (lambda g: {**g, "W": g["W"].T}, "shape (7, 5)"),
    "is not finite": (lambda g: {**g, "V": g["V"] / 0}, "not finite"),
    "is off": (lambda g: {**g, "V": g["V"] * g["V"].dtype.type(1 + 1e-3)}, "V is off by"),
    "has one wrong entry": (lambda g: {**g, "c": np.append(g["c"][:-1], g["c"][:1])}, "c is off"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_gradient_that(net, derivation, dtype, name):
    change, fault = FAULTS[name]
    with np.errstate(all="ignore"):
        verdict = verdict_on(net, derivation, dtype, change)
    assert verdict.verdict == "REFUTED"
    assert fault in verdict.reason


def test_float64_code_that_rounds_to_float32_inside_is_refuted(net, derivation):
    def rounded(gradient):
        return {n: v.astype(np.float32).astype(np.float64) for n, v in gradient.items()}

    verdict = verdict_on(net, derivation, "float64", rounded)
    assert verdict.verdict == "REFUTED"


def test_a_wrong_loss_is_refuted(net, derivation, dtype):
    right = emitted(net, derivation, dtype)

    def gradient(params, batch):
        loss, found = right.gradient(params, batch)
        return loss * 1.001, found

    verdict = check(net, derivation, seed=1, emitted=[Emitted("numpy", dtype, gradient)])
    assert verdict.verdict == "REFUTED"
    assert "the loss" in verdict.reason


def test_the_report_states_the_error_norm_wise(net, derivation, dtype):
    assert f"numpy {dtype}  |g - formula| <= " in str(verdict_on(net, derivation, dtype))

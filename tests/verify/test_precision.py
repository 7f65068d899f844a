"""What float32 loses is told by equation; where a dtype is left, by statement."""

from typing import Any

import numpy as np
import pytest
import sympy
from tests.verify.planted import checked, mlp

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.execute.load import load_module
from bpgen.execute.probe import Probe
from bpgen.execute.promotion import promotion
from bpgen.verify.line import base
from bpgen.verify.numbers import EXTENDED
from bpgen.verify.points import generic
from bpgen.verify.precision import loser
from bpgen.verify.problem import problem

D = 5


def square_of_a_difference(offset):
    """A loss of (x w + offset) - offset, which loses the digits that the offset takes."""
    x = bp.input("x", D)
    n, d = x.indices
    w = bp.parameter("w", d)
    far = bp.define("far", (n, d), x[n, d] * w[d] + offset)
    near = bp.define("near", (n, d), far[n, d] - offset)
    return network(bp.define("loss", (), bp.mean(near[n, d] ** 2, over=(n, d))), {}, name="far")


def read(net):
    subject = problem(net, derive(net))
    return base(subject, generic(subject, np.random.default_rng(1)), EXTENDED)


def test_the_equation_that_loses_digits_is_named_with_how_many_it_keeps():
    found: Any = loser(read(square_of_a_difference(10_000)))
    assert found.formula.startswith("near[n,d] = far[n,d] - 10000")
    # the offset takes four of the seven digits
    assert 2 < found.digits < 4


@pytest.mark.parametrize("net", [square_of_a_difference(0.5), mlp()])
def test_formulas_that_keep_their_digits_name_no_equation(net):
    assert loser(read(net)) is None


def test_the_scale_of_the_loss_changes_no_digit():
    counts = []
    for scale in (sympy.Rational(1, 10**6), 1, 10**6):
        net = mlp(scale=scale)
        verdict = checked(net, derive(net), seed=1)
        assert verdict.verdict == "VERIFIED", verdict.reason
        counts.append([round(d) for d in verdict.agreement.digits.values()])
    spread = np.ptp(counts, axis=0)
    # one digit at most: a power of ten is no power of two, so other bits are rounded
    assert spread.max() <= 1


MODULE = """
import numpy as np
DTYPE = "float32"
PARAMETERS = {"w": (5,)}
INPUTS = {"x": ((5,), None)}


class Params:
    def __init__(self, flat):
        self.flat = flat
        self.w = flat


class Grads(Params):
    pass


def loss_and_grad(params, *, x):
    dtype = params.flat.dtype
    x = np.ascontiguousarray(x, dtype)
    seen = np.arange(5) > 2
    mask = np.asarray(seen, MASK)
    z = np.empty(x.shape, dtype)
    np.multiply(x, params.w, out=z)
    wide = np.empty(x.shape, np.float64)
    np.multiply(z, 2, out=wide)
    np.multiply(wide, 0.5, out=z)
    WRITE
    return float(z.sum()), Grads(np.add.reduce(z, axis=0))
"""
WRITES = {
    "np.multiply(z, mask, out=z)": ("np.int64", True),
    "z *= mask.astype(z.dtype)": ("np.int64", False),
    "z = z * mask": ("np.int64", True),
    "z[:, 1:] += mask[1:]": ("np.int64", True),
    "z = np.where(mask, z, 0)": ("bool", False),
    "z = np.dot(z, np.outer(mask, mask)).astype(dtype)": ("np.int64", True),
    "z = z + np.float64(1)": ("np.int64", True),
    "z = z + 1": ("np.int64", False),
}


@pytest.mark.parametrize("write", WRITES)
def test_a_statement_that_leaves_float32_is_found_and_none_else(write, tmp_path):
    mask, leaves = WRITES[write]
    text = MODULE.replace("MASK", mask).replace("WRITE", write)
    path = tmp_path / "module.py"
    path.write_text(text)
    probe = Probe(load_module(path), (), "float32")
    batch = {"x": np.random.default_rng(0).normal(size=(3, 5))}
    found = promotion(probe, text, {"w": np.ones(5)}, batch)
    assert (found is not None) is leaves
    if found is not None:
        assert found.statement == write
        assert found.line == 1 + [s.strip() for s in text.splitlines()].index(write)
        assert "float64" in found.dtypes

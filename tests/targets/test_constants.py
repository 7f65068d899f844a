"""A number that is made once has a name that reads, and keeps it when a network grows behind it."""

import re

import pytest
import sympy

import bpgen as bp
from bpgen.activations import gelu
from bpgen.emit import module
from bpgen.ir.expr import Where
from bpgen.ir.index import Extent
from bpgen.layers import batch_norm, linear
from bpgen.losses import mean_squared_error
from bpgen.targets.numpy.constants import formula_of, name_of

N, K = Extent("N", None), Extent("K", 7)
TENTH = sympy.Rational(1, 10)
READ = {
    "ZERO": sympy.S.Zero,
    "HALF": sympy.S.Half,
    "C_0_9": sympy.Rational(9, 10),
    "C_MINUS_3": sympy.Integer(-3),
    "C_0_00001": sympy.Rational(1, 10**5),
    "C_2_OVER_K_N": 2 / (N * K),
    "C_N_OVER_K": N / K,
    "C_1_OVER_SQRTK": 1 / sympy.sqrt(K),
    "C_SQRT2_OVER_2": sympy.sqrt(2) / 2,
    "C_MINUS_2_LOG3_OVER_K": -2 * sympy.log(3) / K,
}
NOT_READ = [
    TENTH * N / Where(sympy.Gt(N, 2), N - 1, 1),
    K * sympy.log(2 * sympy.pi) / 2,
    sympy.Rational(1, 3),
    sympy.Rational(1, 10**12),
    N**3,
]


@pytest.mark.parametrize("name", READ)
def test_a_short_number_is_called_what_it_is(name):
    assert name_of(READ[name], "z1") == name


@pytest.mark.parametrize("number", NOT_READ, ids=str)
def test_a_long_number_is_called_after_what_it_is_for(number):
    assert name_of(number, "z1") == "C_Z1"


def test_digits_stand_beside_their_formula():
    assert formula_of(sympy.sqrt(2) / 2) == "√2/2"
    assert formula_of(1 / K) == formula_of(TENTH) == ""


def constants(layers):
    """Return the names of numbers in the module of a network of some layers, by what is made."""
    x, y = bp.input("x", 5), bp.input("y", 3)
    h = x
    for k in range(layers):
        h = gelu(batch_norm(linear(h, 7, name=f"fc{k}"), name=f"norm{k}"))
    out = linear(h, 3, name="head")
    text = module(bp.Model(mean_squared_error(out, y), {"out": out}).program(), "model.py")
    whole = re.sub(r"np\.array\(\n +(.*)\n +\)", r"np.array(\1)", text)
    return {
        made: name for name, made in re.findall(r"self\.(\w+) = (np\.array\(.*, dtype.*)", whole)
    }


def test_a_number_keeps_its_name_when_layers_come_behind():
    few, many = constants(1), constants(2)
    both = few.keys() & many.keys()
    assert {made: few[made] for made in both} == {made: many[made] for made in both}
    # All but what the loss divides by, whose axis is another letter.
    assert len(both) == len(few) - 2 > 8
    assert many["np.array(0.1 * BATCH / max(1, BATCH - 1), dtype)"] == "C_NORM0_VAR"

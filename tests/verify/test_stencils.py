"""Stencils are solved from the Taylor conditions; a higher order shows more digits."""

import numpy as np
import pytest
import sympy

from bpgen.verify.decimals import Decimals
from bpgen.verify.line import base, gaussian
from bpgen.verify.points import generic
from bpgen.verify.problem import problem
from bpgen.verify.stencils import ORDERS, stencils, weights


@pytest.mark.parametrize("order", ORDERS)
def test_the_weights_are_those_of_sympy_s_own_table(order):
    reach = range(-order // 2, order // 2 + 1)
    known = sympy.calculus.finite_diff_weights(1, [sympy.Integer(j) for j in reach], 0)[1][-1]
    assert [weights(order).get(j, 0) for j in reach] == known


@pytest.mark.parametrize("order", ORDERS)
def test_a_stencil_is_exact_on_polynomials_up_to_its_order(order):
    x, h = sympy.symbols("x h")
    for degree in range(order + 1):
        quotient = sum(w * (x + j * h) ** degree for j, w in weights(order).items()) / h
        assert sympy.expand(quotient - sympy.diff(x**degree, x)) == 0


def test_a_higher_order_shows_more_digits(net, derivation):
    random = np.random.default_rng(11)
    subject = problem(net, derivation)
    at = base(subject, generic(subject, random), Decimals(50))
    rows = stencils(at, gaussian(subject, subject.parameters, random), 50)
    digits = [row.digits for row in rows]
    assert digits == sorted(digits)
    assert all(row.agrees for row in rows)

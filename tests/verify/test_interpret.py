"""The reference meaning of an equation is what a hand would compute, over all numbers."""

import math

import mpmath
import numpy as np
import pytest
import sympy
from flint import arb
from sympy.codegen import cfunctions

from bpgen.errors import UndecidedError
from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Delta, Digit, Where, access
from bpgen.ir.index import Extent, index
from bpgen.ir.tensor import Role, Tensor
from bpgen.verify.balls import Balls, Series, coefficient
from bpgen.verify.decimals import Decimals
from bpgen.verify.interpret import evaluate, evaluate_lanes, needed
from bpgen.verify.numbers import COMPLEX, FLOAT32, FLOAT64, filled
from bpgen.verify.problem import lifted

N, D, H = 2, 3, 5
n, d, h = index("n", N), index("d", D), index("h", H)
EXTENTS = {n.extent: N, d.extent: D, h.extent: H}
ZERO = sympy.S.Zero
FUNCTIONS = ("exp", "log", "sin", "cos", "tan", "tanh", "sinh", "cosh", "atan", "erf")
STABLE = ("log1p", "expm1")
ALL = [FLOAT32, FLOAT64, COMPLEX, Decimals(50), Balls(200), Series(200)]
RANDOM = np.random.default_rng(7)
X, W = RANDOM.normal(size=(N, D)), RANDOM.normal(size=(D, H))
x, w = access("x", (n, d)), access("W", (d, h))


def read(body, out=(n, h), over=(), op=Op.SUM, numbers=FLOAT64, **values):
    equation = Equation(Tensor("y", out, Role.ACTIVATION), (Term(sympy.sympify(body), over),), op)
    values = lifted({"x": X, "W": W, **values}, numbers)
    return evaluate([equation], values, EXTENTS, numbers)["y"]


@pytest.mark.parametrize("numbers", ALL, ids=lambda n: n.name)
def test_a_sum_of_products_is_the_loop_over_its_indices(numbers):
    found = numbers.nearest(read(x * w * w, over=(d,), numbers=numbers))
    for i in range(N):
        for j in range(H):
            by_hand = sum(X[i, k] * W[k, j] ** 2 for k in range(D))
            # D products and sums, each rounded once; no cancellation makes it worse than this
            size = sum(abs(X[i, k]) * W[k, j] ** 2 for k in range(D))
            assert abs(found[i, j] - by_hand) <= 4 * D * 10 ** -min(numbers.digits, 15.6) * size


@pytest.mark.parametrize("name", FUNCTIONS + STABLE)
@pytest.mark.parametrize("numbers", ALL, ids=lambda n: n.name)
def test_every_function_has_one_meaning_over_all_numbers(numbers, name):
    function = getattr(sympy, name, None) or getattr(cfunctions, name)
    found = numbers.nearest(read(function(x**2), (n, d), numbers=numbers))
    # float32 rounds x before it squares it
    given = X.astype(np.float32).astype(float) if numbers is FLOAT32 else X
    true = np.vectorize(lambda v: float(getattr(mpmath, name)(v * v)))(given)
    argument = 10 ** -min(numbers.digits, 15.6)
    # the error is that of the square, carried on by a slope below 16, and that of the result
    assert (np.abs(found - true) <= 16 * argument * np.maximum(np.abs(true), given**2)).all()


@pytest.mark.parametrize("numbers", [Decimals(50), Balls(170)], ids=lambda n: n.name)
def test_constants_are_exact_to_every_digit(numbers):
    body = sympy.pi * sympy.Rational(1, 3) + sympy.E + sympy.sqrt(2) * sympy.Float("0.1")
    true = sympy.N(sympy.pi / 3 + sympy.E + sympy.sqrt(2) * sympy.Rational(0.1), 60)
    with numbers.working():
        error = read(body, (), numbers=numbers)[()] - numbers.constant(true)[0]
        assert numbers.bounds(error)[1] < 1e-48  # 50 digits, and three sums of numbers below 4


def test_a_repeated_index_reads_the_diagonal():
    square = RANDOM.normal(size=(3, 3))
    found = read(access("A", (d, d)), (), over=(d,), A=square)
    assert found == pytest.approx(np.trace(square), rel=1e-15)  # three roundings
    assert np.array_equal(read(access("A", (d, sympy.Integer(1))), (d,), A=square), square[:, 1])


def test_an_entry_may_stand_at_an_address_that_is_data():
    label = np.array([2, 0])
    found = read(access("x", (n, access("label", (n,)))), (n,), label=label)
    assert np.array_equal(found, X[[0, 1], label])


def test_an_index_may_be_affine_and_a_digit_of_another():
    j = index("j", 6)
    extents = {**EXTENTS, j.extent: 6}
    out = Tensor("y", (j,), Role.ACTIVATION)
    at = (
        Digit(j, sympy.Integer(3), sympy.Integer(2)),
        Digit(j, sympy.Integer(1), sympy.Integer(3)),
    )
    flat = evaluate([Equation(out, (Term(access("x", at)),))], {"x": X}, extents, FLOAT64)["y"]
    assert np.array_equal(flat, X.ravel())
    back = read(access("flat", (3 * n + d,)), (n, d), flat=X.ravel())
    assert np.array_equal(back, X)


@pytest.mark.parametrize("numbers", ALL, ids=lambda n: n.name)
def test_a_choice_may_skip_what_lies_outside_a_tensor(numbers):
    padded = Where((d >= 1) & (d <= 2), access("x", (n, d - 1)), ZERO)
    found = numbers.nearest(read(padded, (n, d), numbers=numbers))
    true = np.concatenate([np.zeros((N, 1)), X[:, :2]], axis=1)
    assert np.array_equal(found.astype(np.float32), true.astype(np.float32))


def test_what_lies_outside_a_tensor_is_not_a_number():
    assert np.isnan(read(access("x", (n, d - 1)), (n, d))[:, 0]).all()


@pytest.mark.parametrize("numbers", ALL, ids=lambda n: n.name)
def test_the_branch_that_is_not_taken_may_be_undefined(numbers):
    zero_there = x - Where(x > 0, ZERO, x)
    body = Where(x > 0, sympy.log(x) + sympy.sqrt(x) + 1 / zero_there, ZERO)
    found = numbers.nearest(read(body, (n, d), numbers=numbers))
    positive = X > 0
    assert np.isfinite(found).all()
    true = np.log(X[positive]) + np.sqrt(X[positive]) + 1 / X[positive]
    assert np.allclose(found[positive], true, rtol=1e-5, atol=0)  # float32, and some cancellation


@pytest.mark.parametrize("numbers", ALL, ids=lambda n: n.name)
def test_a_maximum_and_its_address_go_to_the_first_of_a_tie(numbers):
    tied = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 1.0]])
    body, over = access("x", (n, d)), (d,)
    largest = read(body, (n,), over, Op.MAX, numbers, x=tied)
    at = read(body, (n,), over, Op.ARGMAX, numbers, x=tied)
    assert numbers.nearest(largest).tolist() == [3, 2]
    assert at.tolist() == [1, 0]


def test_a_delta_picks_one_term_of_a_sum():
    found = read(
        access("x", (n, d)) * Delta(d, access("label", (n,))), (n,), (d,), label=np.array([2, 1])
    )
    assert np.array_equal(found, X[[0, 1], [2, 1]])


def test_a_sum_over_an_index_that_the_formula_lacks_counts_copies():
    assert read(sympy.Integer(1), (), over=(n, d, h)) == N * D * H
    assert np.array_equal(read(x, (n, d), over=(h,)), H * X)


def test_a_series_carries_the_derivative_of_the_forward_formulas():
    series = Series(200)
    moved = series.line(X, np.ones_like(X))
    out = Equation(Tensor("y", (n, d), Role.ACTIVATION), (Term(sympy.tanh(x) / (1 + x**2)),))
    found = evaluate([out], {"x": moved}, EXTENTS, series)["y"]
    t = sympy.Symbol("t")
    slope = sympy.lambdify(t, sympy.diff(sympy.tanh(t) / (1 + t**2), t))
    assert max(abs(float(f[1]) - slope(v)) for f, v in zip(found.flat, X.flat, strict=True)) < 1e-14


@pytest.mark.parametrize("exponent", [2, 3, 6])
@pytest.mark.parametrize("slope", [0.0, 2.0])
def test_a_series_around_zero_has_powers(exponent, slope):
    series = Series(200)
    with series.working():
        zero = filled([arb(0, 1e-60)], (1,))
        powers = series.power(series.line(zero, np.array([slope])), exponent)
        sizes = [float(coefficient(powers, k)[0].abs_upper()) for k in range(2)]
    assert max(sizes) < 1e-50


def test_lanes_are_copies_that_do_not_touch():
    lanes = RANDOM.normal(size=(4, N, D))
    out = Equation(Tensor("y", (n, h), Role.ACTIVATION), (Term(x * w, (d,)),))
    found = evaluate_lanes([out], {"x": lanes, "W": W[None]}, EXTENTS, FLOAT64)["y"]
    assert np.allclose(found, lanes @ W, rtol=1e-14, atol=0)  # the same products in another order


def test_a_tensor_that_is_given_is_frozen_and_its_equation_not_read():
    twice = Equation(Tensor("x", (n, d), Role.ACTIVATION), (Term(2 * x),))
    assert evaluate([twice], {"x": X}, EXTENTS, FLOAT64)["x"] is not None
    assert np.array_equal(evaluate([twice], {"x": X}, EXTENTS, FLOAT64)["x"], X)


def test_only_what_is_needed_is_kept(net):
    names = [e.out.name for e in needed(net.equations, ["y"])]
    assert names == ["z", "y"]


def test_an_unknown_node_is_an_error_that_names_it():
    with pytest.raises(UndecidedError, match="no meaning for Symbol"):
        read(sympy.Symbol("mystery"))


def test_the_batch_extent_is_free():
    free = index("n", None)
    out = Equation(
        Tensor("y", (), Role.LOSS), (Term(access("x", (free, d)) / free.extent, (free, d)),)
    )
    for batch in (3, 13):
        values = {"x": np.ones((batch, D))}
        extents = {**EXTENTS, Extent("N", None): batch}
        assert evaluate([out], values, extents, FLOAT64)["y"] == pytest.approx(D, rel=1e-14)


def test_comparisons_act_on_real_parts():
    step = X + 1e-20j
    found = read(Where(x > 0, x, ZERO), (n, d), numbers=COMPLEX, x=step)
    assert np.array_equal(found.imag > 0, X > 0)
    assert math.isclose(found.imag.max(), 1e-20)

"""Factors are multiplied in the order of fewest multiply-adds, and none of it changes a number."""

from itertools import combinations
from math import prod
from time import process_time

import numpy as np
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive, hessian
from bpgen.emit import module
from bpgen.execute.load import load_module
from bpgen.ir.expr import access
from bpgen.ir.index import index
from bpgen.losses import mean_squared_error
from bpgen.lower import lower
from bpgen.lower.products import paired, planned
from bpgen.optimizers import sgd

LETTERS = [index(letter, size) for letter, size in zip("abcdef", (2, 3, 5, 7, 11, 13), strict=True)]


@st.composite
def sums(draw, least=2, most=5):
    """The indices of each of some factors, and those of the result."""
    some = st.sets(st.sampled_from(LETTERS), min_size=1, max_size=3)
    factors = draw(st.lists(some, min_size=least, max_size=most))
    every = set().union(*factors)
    return [frozenset(f) for f in factors], frozenset(
        draw(st.sets(st.sampled_from(LETTERS)))
    ) & every


def size(axes):
    return prod(i.extent.value for i in axes)


def left(axes, others, out):
    """What is needed of `axes` when `others` are still to be multiplied."""
    return axes & out.union(*others)


def least(factors, out):
    """The fewest multiply-adds of all orders: each pair first, then the others the same way."""
    if len(factors) == 1:
        return 0
    costs = []
    for i, j in combinations(range(len(factors)), 2):
        others = [f for k, f in enumerate(factors) if k not in (i, j)]
        both = factors[i] | factors[j]
        costs.append(size(both) + least([*others, left(both, others, out)], out))
    return min(costs)


def least_of_all(factors, out):
    """The same, with what one factor alone has summed first."""
    alone = [left(f, factors[:k] + factors[k + 1 :], out) for k, f in enumerate(factors)]
    return sum(size(f) for f, a in zip(factors, alone, strict=True) if f != a) + least(alone, out)


def entries(factors):
    return [access(f"x{k}", sorted(f, key=str)) for k, f in enumerate(factors)]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(sums())
def test_no_order_takes_fewer_multiply_adds(declared):
    factors, out = declared
    assert planned(entries(factors), out).cost == least_of_all(factors, out)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(sums())
def test_a_statement_multiplies_two_products_of_all_factors(declared):
    factors, out = declared
    found = paired(entries(factors), out)
    assert prod(found) == prod(entries(factors))
    assert len(found) <= max(2, len(factors))


def from_left_to_right(factors, out):
    """The multiply-adds when each factor is multiplied to the product of those before it."""
    alone = [left(f, factors[:k] + factors[k + 1 :], out) for k, f in enumerate(factors)]
    cost = sum(size(f) for f, a in zip(factors, alone, strict=True) if f != a)
    done, *waiting = alone
    while waiting:
        both = done | waiting.pop(0)
        cost, done = cost + size(both), left(both, waiting, out)
    return cost


@settings(max_examples=20, deadline=None, derandomize=True)
@given(sums(least=16, most=16))
def test_an_order_of_many_factors_is_found_soon_and_as_good_as_from_left_to_right(declared):
    factors, out = declared
    begin = process_time()
    found, parts = planned(entries(factors), out), paired(entries(factors), out)
    assert process_time() - begin < 1
    assert found.cost <= from_left_to_right(factors, out)
    assert found.expr == prod(parts) == prod(entries(factors))


def emitted(declared, tmp_path, name="products"):
    text = module(
        lower(derive(network(*declared, name=name)), sgd()), f"{name}.py", dtype="float64"
    )
    path = tmp_path / f"{name}_numpy.py"
    path.write_text(text, encoding="utf-8")
    return text, load_module(path)


def three_way():
    """C[n,k] = Σ_{i,j,r} x[n,i] P[i,r] Q[j,r] z[n,j] R[k,r], and a matrix for each k."""
    x, z, y = bp.input("x", 5), bp.input("z", 7), bp.input("y", 3)
    (n, i), (_, j), (_, k) = x.indices, z.indices, y.indices
    r = bp.index("r", 2)
    A = bp.parameter("A", k, i, j)
    P, Q, R = bp.parameter("P", i, r), bp.parameter("Q", j, r), bp.parameter("R", k, r)
    B = bp.define("B", (n, k), bp.sum(x[n, i] * A[k, i, j] * z[n, j], over=(i, j)))
    five = x[n, i] * P[i, r] * Q[j, r] * z[n, j] * R[k, r]
    C = bp.define("C", (n, k), bp.sum(five, over=(i, j, r)))
    out = bp.define("out", (n, k), B[n, k] + C[n, k])
    return mean_squared_error(out, y), {"out": out}


def test_a_product_of_five_is_products_of_two(tmp_path):
    text, net = emitted(three_way(), tmp_path)
    assert "einsum" not in text
    assert net.selftest()


def test_what_the_forward_pass_has_multiplied_the_backward_pass_reads(tmp_path):
    text, _ = emitted(three_way(), tmp_path)
    forward, backward = text.split("def backward")
    for product in ("P_dot_x", "Q_dot_z"):
        assert f"# {product}[n,j] = " in forward or f"# {product}[n,r] = " in forward
        assert f"# {product}[" not in backward.split("\ndef ")[0]
        assert f"a.{product}" in backward


def test_what_one_factor_alone_has_is_summed_first(tmp_path):
    x, y = bp.input("x", 5, 3), bp.input("y", 7)
    (n, t, d), (_, h) = x.indices, y.indices
    W = bp.parameter("W", d, h)
    z = bp.define("z", (n, h), bp.sum(x[n, t, d] * W[d, h], over=(t, d)))
    text, net = emitted((mean_squared_error(z, y), {"z": z}), tmp_path)
    assert "# sum_x[n,d] = Σ_t x[n,t,d]" in text
    assert net.selftest()


def test_a_loop_multiplies_in_the_best_order_too(tmp_path):
    x, y = bp.input("x", 3, 5), bp.input("y", 3, 7)
    (n, t, i), (_, _, k) = x.indices, y.indices
    j = bp.index("j", 7)
    A = bp.parameter("A", i, j, k)
    h = bp.recurrence("h", (n, t, k), over=t)
    bilinear = bp.sum(x[n, t, i] * A[i, j, k] * h[n, t - 1, j], over=(i, j))
    z = bp.define("z", (n, t, k), bilinear)
    h = h.becomes(sympy.tanh(1 + z[n, t, k]))
    text, net = emitted((mean_squared_error(h, y), {"h": h}), tmp_path)
    assert "einsum" not in text
    # x h lies as the product with A wants it: only h of the turn before is copied.
    assert text.split("def forward")[1].split("\ndef ")[0].count("np.copyto(a.") == 2
    assert net.selftest()


def test_a_product_with_the_hessian_is_multiplied_so_too(tmp_path):
    net = network(*three_way(), name="products")
    curvature = hessian(derive(net))
    text = module(lower(curvature.derivation, sgd(), curvature), "products.py", dtype="float64")
    path = tmp_path / "products_numpy.py"
    path.write_text(text, encoding="utf-8")
    products = load_module(path)
    batch, params = products.example(4), products.init(0)
    along = products.Params(np.random.default_rng(1).normal(size=params.flat.size))
    found = products.hvp(params, along, **batch).flat
    h = 1e-5
    sides = [products.Params(params.flat + side * along.flat) for side in (h, -h)]
    up, down = (products.loss_and_grad(p, **batch)[1].flat for p in sides)
    # The central difference errs by h² of the third derivative.
    assert np.abs((up - down) / (2 * h) - found).max() < 1e-6 * np.abs(found).max()

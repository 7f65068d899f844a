"""Error against step: truncation on one side, rounding on the other, and slopes in many digits."""

import numpy as np
import pytest
import sympy
from tests.verify.planted import checked, mlp

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.execute.sweep import draw
from bpgen.verify.sweep import EXPONENTS, sweep


@pytest.fixture(scope="module")
def swept():
    net = mlp()
    return sweep(net, derive(net), seed=1)


@pytest.mark.parametrize("order", [2, 4, 6, 8])
def test_each_curve_falls_with_its_order_and_rises_with_rounding(order, swept):
    curve = next(c for c in swept.curves if c.order == order)
    errors = dict(zip(EXPONENTS, curve.errors, strict=True))
    fall = np.log2(errors[3] / errors[4])
    # the next term of the expansion is h² times as large as the first
    assert abs(fall - order) < 0.3
    rise = np.median([errors[k] for k in range(33, 41)]) / np.median(
        [errors[k] for k in range(23, 31)]
    )
    assert 2**5 < rise < 2**15
    # 2^-53 and h^order balance at this many digits, give or take two for the constants
    assert abs(-np.log10(curve.best[1]) - 16 * order / (order + 1)) < 2.5


def test_slopes_are_fitted_in_fifty_and_a_hundred_digits(swept):
    assert [t.numbers for t in swept.tables] == ["50 digits", "100 digits"]
    for table in swept.tables:
        for order in range(3):
            assert abs(table.fitted(order) - (order + 1)) < 1e-3
    assert swept.verdict == "VERIFIED"


def test_the_plot_and_the_picture_show_every_order(swept, tmp_path):
    text = str(swept)
    assert all(f"order {order}: " in text for order in (2, 4, 6, 8))
    assert "fitted slopes: R0 1.000" in text
    for name in ("a.svg", "b.svg"):
        draw(tmp_path / name, swept)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "order 8" in (tmp_path / "a.svg").read_text()


def power(exponent):
    """A loss that is a polynomial of `exponent` along every line."""
    x = bp.input("x", 5)
    n, d = x.indices
    w = bp.parameter("w", d)
    z = bp.define("z", (n,), bp.sum(x[n, d] * w[d], over=d))
    return network(bp.define("loss", (), bp.mean(z[n] ** exponent, over=n)), {}, name="power")


@pytest.mark.parametrize(("exponent", "exact"), [(1, (1, 2)), (2, (2,)), (3, ())])
def test_a_linear_and_a_quadratic_loss_are_exact_and_not_failed(exponent, exact):
    net = power(exponent)
    verdict = checked(net, derive(net), seed=1)
    assert verdict.verdict == "VERIFIED", verdict.reason
    found = sweep(net, derive(net), seed=1)
    for table in (verdict.table, *found.tables):
        assert tuple(k for k in range(3) if table.is_exact(k)) == exact
        assert table.agrees
    assert ("R2 exact" in str(found)) is (2 in exact)
    assert found.verdict == "VERIFIED"


def test_richardson_gains_two_orders(swept):
    del swept
    net = mlp(sympy.tanh)
    for stencil in checked(net, derive(net), seed=1).stencils:
        gain = (stencil.richardson - stencil.digits) / (stencil.exponent * np.log10(2))
        # h² is gained; numbers of 100 digits leave room, and constants cost some digits
        assert 1.5 < gain < 2.5, stencil

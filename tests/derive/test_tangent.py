"""Tangents: the chain rule forwards, and what is known of second derivatives without any rule."""

import numpy as np
import pytest
import sympy
from hypothesis import HealthCheck, given, settings
from tests.derive.conftest import N, values_of
from tests.lower.strategies import networks

import bpgen as bp
from bpgen.activations import relu, tanh
from bpgen.declare.network import network
from bpgen.derive import derive, gauss_newton, hessian
from bpgen.ir.order import Loop, ordered
from bpgen.ir.tensor import Role
from bpgen.layers import attention, batch_norm, dropout, gru, layer_norm, linear, lstm, rnn
from bpgen.losses import mean_squared_error, softmax_cross_entropy
from bpgen.spell import FormulaSpeller, LatexSpeller, derivatives_of, order_of
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import COMPLEX, FLOAT64

B, T, D, H, K = 3, 5, 7, 11, 13
STEP = 1e-20
few = settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def directions_of(net, seed=1):
    rng = np.random.default_rng(seed)
    return {p.name: rng.normal(size=[e or N for e in p.shape]) for p in net.parameters}


def product(curvature, direction, values=None):
    """The derived product with `direction`, and every tensor on the way."""
    net = curvature.derivation.source
    given = {curvature.directions[name]: v for name, v in direction.items()}
    extents = {e: e.value or N for e in curvature.network.extents()}
    start = {**(values or values_of(net)), **given}
    known = evaluate(curvature.network.equations, start, extents, FLOAT64)
    return {name: known[part] for name, part in curvature.parts.items()}, known


def by_complex_step(curvature, direction, known):
    """How the derived gradient moves along `direction`, held tensors at their values."""
    derivation = curvature.derivation
    net = derivation.source
    extents = {e: e.value or N for e in derivation.network.extents()}
    moved = {k: v.astype(complex) if v.dtype.kind == "f" else v for k, v in values_of(net).items()}
    moved |= {name: moved[name] + 1j * STEP * v for name, v in direction.items()}
    held = [t.name for t in net.of_role(Role.CONSTANT)]
    moved |= {name: np.asarray(known[name], complex) for name in held}
    found = evaluate(derivation.network.equations, moved, extents, COMPLEX)
    return {p: found[derivation.gradient_of(p)].imag / STEP for p in direction}


def inner(a, b):
    return sum(np.sum(a[name] * b[name]) for name in a)


def check(net):
    """The product is the complex step of the gradient, entry by entry."""
    curvature = hessian(derive(net))
    direction = directions_of(net)
    found, known = product(curvature, direction)
    truth = by_complex_step(curvature, direction, known)
    size = max(np.abs(v).max() for v in truth.values())
    for name, values in truth.items():
        # What is left is the rounding of both sides, through sums of some hundred terms.
        assert np.abs(found[name] - values).max() <= 1e-12 * size, name


def formulas(curvature):
    tensors = curvature.network.tensors.values()
    speller = FormulaSpeller(order_of(tensors), derivatives_of(tensors))
    return [speller.equation(e) for e in curvature.equations]


def regression(h, units=B):
    y = bp.input("y", *(i.extent.value for i in h.indices[1:-1]), units)
    z = linear(h, units, name="out")
    return network(mean_squared_error(z, y), {"z": z}, name="test")


def two_layers():
    return regression(tanh(linear(bp.input("x", D), H, name="fc")))


def classifier(activation=relu):
    logits = linear(activation(linear(bp.input("x", D), H, name="fc")), K, name="out")
    loss = softmax_cross_entropy(logits, bp.label("answer", classes=K))
    return network(loss, {"logits": logits}, name="test")


def windowed():
    """A convolution with a step and a border, then the largest of overlapping windows."""
    x = bp.input("x", 2, 9)
    n, c, _ = x.indices
    f, u, k, i, j = (bp.index(*p) for p in (("f", 3), ("u", 3), ("k", 3), ("i", 5), ("j", 3)))
    W = bp.parameter("W", f, c, u)
    entry = bp.pad(x[n, c, 2 * i + u - 1])
    y = bp.define("y", (n, f, i), bp.sum(entry * W[f, c, u], over=(c, u)))
    z = bp.define("z", (n, f, j), bp.max(bp.pad(y[n, f, 2 * j + k - 1], -sympy.oo), over=k))
    s = bp.define("smooth", (n, f, j), sympy.sin(z[n, f, j]))
    return network(bp.define("loss", (), bp.mean(s[n, f, j] ** 2, over=(n, f, j))), {}, name="t")


def noisy():
    return regression(dropout(tanh(linear(bp.input("x", D), H, name="fc")), 0.3))


FAMILIES = {
    "two layers": two_layers,
    "softmax cross entropy": classifier,
    "convolution and maximum": windowed,
    "noise that is fixed": noisy,
    "layer norm": lambda: regression(layer_norm(linear(bp.input("x", D), H, name="fc"))),
    "batch norm": lambda: regression(batch_norm(linear(bp.input("x", D), H, name="fc"))),
    "attention": lambda: regression(attention(bp.input("x", T, 2 * B), heads=2, causal=True)),
    "rnn": lambda: regression(rnn(bp.input("x", T, D), H)),
    "gru": lambda: regression(gru(bp.input("x", T, D), H)),
    "lstm": lambda: regression(lstm(bp.input("x", T, D), H)),
    "a start that is trained": lambda: regression(
        rnn(bp.input("x", T, D), H, start=bp.parameter("start", bp.index("k", H)))
    ),
    "rnn backwards": lambda: regression(rnn(bp.input("x", T, D), H, reverse=True)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_product_with_the_hessian_is_the_complex_step_of_the_gradient(family):
    check(FAMILIES[family]())


@few
@given(networks())
def test_the_product_of_a_random_network_is_the_complex_step_of_its_gradient(declared):
    check(network(*declared, name="random"))


@pytest.mark.parametrize("family", FAMILIES)
def test_second_derivatives_are_symmetric(family):
    net = FAMILIES[family]()
    curvature = hessian(derive(net))
    v, w = directions_of(net, 1), directions_of(net, 2)
    Hv, Hw = product(curvature, v)[0], product(curvature, w)[0]
    size = sum(np.abs(w[n] * Hv[n]).sum() for n in Hv)
    assert abs(inner(w, Hv) - inner(v, Hw)) <= 1e-12 * size


def test_a_parameter_that_acts_linearly_alone_has_no_second_derivative():
    x = bp.input("x", D)
    n, d = x.indices
    W = bp.parameter("W", d)
    loss = bp.define("loss", (), bp.sum(x[n, d] * W[d], over=(n, d)))
    net = network(loss, {}, name="linear")
    found, _ = product(hessian(derive(net)), directions_of(net))
    assert (found["W"] == np.zeros(D)).all()


def test_a_quadratic_loss_has_the_matrix_it_is_written_with():
    a, b = bp.index("a", D), bp.index("b", D)
    A, W = bp.input("A", D, D), bp.parameter("W", a)
    n = A.indices[0]
    loss = bp.define("loss", (), bp.sum(W[a] * A[n, a, b] * W[b], over=(n, a, b)))
    net = network(loss, {}, name="quadratic")
    v, values = directions_of(net), values_of(net)
    found, _ = product(hessian(derive(net)), v, values)
    matrix = values["A"].sum(axis=0)
    np.testing.assert_allclose(found["W"], (matrix + matrix.T) @ v["W"], rtol=1e-13)


def test_what_is_held_stands_still():
    x = bp.input("x", D)
    n, d = x.indices
    W = bp.parameter("W", d)
    z = bp.define("z", (n, d), sympy.sin(W[d] * x[n, d]))
    still = bp.define("still", (n, d), bp.hold(z[n, d]))
    loss = bp.define("loss", (), bp.mean(still[n, d] * z[n, d] ** 3, over=(n, d)))
    net = network(loss, {}, name="held")
    check(net)
    assert "still" not in {e.out.of for e in hessian(derive(net)).equations}


def test_a_maximum_moves_as_the_entry_at_its_address_does():
    x = bp.input("x", T, D)
    n, t, d = x.indices
    W = bp.parameter("W", d)
    y = bp.define("y", (n, t, d), sympy.sin(x[n, t, d] * W[d]))
    m = bp.define("m", (n, d), bp.max(y[n, t, d], over=t))
    loss = bp.define("loss", (), bp.mean(m[n, d] ** 2, over=(n, d)))
    lines = formulas(hessian(derive(network(loss, {}, name="max"))))
    assert "∂m/∂ε[n,d] = ∂y/∂ε[n,m_at[n,d],d]" in lines


def test_the_product_with_a_dense_layer_has_its_textbook_form():
    lines = formulas(hessian(derive(two_layers())))
    assert "∂z1/∂ε[n,h] = Σ_d x[n,d] v_fc_W[d,h] + v_fc_b[h]" in lines
    assert "∂²L/∂ε∂fc_W[d,h] = Σ_n x[n,d] ∂²L/∂ε∂z1[n,h]" in lines


def test_equations_of_a_loop_have_their_tangents_in_a_loop():
    curvature = hessian(derive(regression(lstm(bp.input("x", T, D), H))))
    loops = [g for g in ordered(curvature.network.equations) if isinstance(g, Loop)]
    tangents = [g for g in loops if {e.out.role for e in g.equations()} == {Role.TANGENT}]
    assert [g.reverse for g in tangents] == [False, True]


def test_a_tensor_that_is_called_like_a_tangent_keeps_its_name():
    x = bp.input("x", D)
    n, d = x.indices
    W = bp.parameter("W", d)
    z = bp.define("z", (n, d), sympy.sin(W[d] * x[n, d]))
    t_z = bp.define("t_z", (n, d), z[n, d] ** 2)
    v_W = bp.define("v_W", (n, d), t_z[n, d] * z[n, d])
    net = network(bp.define("loss", (), bp.mean(v_W[n, d], over=(n, d))), {}, name="names")
    check(net)
    assert hessian(derive(net)).directions == {"W": "v_W2"}


def test_derivatives_of_any_order_are_written_as_such():
    curvature = hessian(derive(two_layers()))
    tensors = curvature.network.tensors.values()
    latex = LatexSpeller(order_of(tensors), derivatives_of(tensors))
    line = next(e for e in curvature.equations if e.out.name == curvature.parts["fc_b"])
    left = r"\frac{\partial^{2} L}{\partial \varepsilon\,\partial \mathrm{fc\_b}_{h}} = \sum_{n} "
    assert latex.equation(line).startswith(left)


def test_gauss_and_newton_is_the_hessian_where_the_network_is_linear():
    net = regression(bp.input("x", D))
    derivation, v = derive(net), directions_of(net)
    whole, of_loss = product(hessian(derivation), v)[0], product(gauss_newton(derivation), v)[0]
    for name, values in whole.items():
        np.testing.assert_allclose(of_loss[name], values, rtol=1e-12)


@pytest.mark.parametrize("make", [two_layers, classifier], ids=["squares", "cross entropy"])
def test_gauss_and_newton_is_symmetric_and_not_negative_for_a_convex_loss(make):
    net = make()
    curvature = gauss_newton(derive(net))
    v, w = directions_of(net, 1), directions_of(net, 2)
    Gv, Gw = product(curvature, v)[0], product(curvature, w)[0]
    assert abs(inner(w, Gv) - inner(v, Gw)) <= 1e-12 * abs(inner(v, Gv))
    assert inner(v, Gv) > 0


def test_gauss_and_newton_is_the_jacobian_twice_around_the_curvature_of_the_loss():
    """For the mean of squares, v·Gv is twice the mean of (Jv)²."""
    net = two_layers()
    curvature = gauss_newton(derive(net))
    v = directions_of(net)
    Gv, known = product(curvature, v)
    moved = known[f"t_{net.outputs['z']}"]
    np.testing.assert_allclose(inner(v, Gv), 2 * np.mean(moved**2), rtol=1e-12)


def test_a_loss_that_is_no_function_of_the_outputs_has_no_product_of_gauss_and_newton():
    h = tanh(linear(bp.input("x", D), H, name="fc"))
    z = linear(h, B, name="out")
    y = bp.input("y", B)
    net = network(mean_squared_error(z, y), {"h": h}, name="other")
    assert gauss_newton(derive(net)) is None
    inside = next(e.out.name for e in net.equations if "out_W" in e.reads())
    assert gauss_newton(derive(net), [inside]) is not None

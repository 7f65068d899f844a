"""The classical forms come out of the formulas by themselves; no rule knows any of these names."""

import pytest

import bpgen as bp
from bpgen import activations
from bpgen.activations import tanh
from bpgen.layers import batch_norm, layer_norm, linear, rms_norm, softmax
from bpgen.losses import mean_squared_error, sigmoid_cross_entropy, softmax_cross_entropy

D, H, K = 3, 5, 7


def test_softmax_cross_entropy_is_p_minus_delta(derived, formula):
    x, y = bp.input("x", D), bp.label("y", classes=K)
    logits = linear(x, K, name="fc")
    derivation = derived(softmax_cross_entropy(logits, y), logits=logits)
    assert formula(derivation, "logits") == "∂L/∂logits[n,h] = (p[n,h] - δ(h,y[n]))/N"


def test_softmax_is_p_times_what_exceeds_the_mean(derived, formula):
    x, t = bp.input("x", D), bp.input("t", H)
    z = linear(x, K, name="fc")
    p = softmax(z)
    loss = mean_squared_error(linear(p, H, name="out"), t)
    derivation = derived(loss, z=z, p=p)
    assert formula(derivation, "z") == "∂L/∂z[n,h] = p[n,h] (∂L/∂p[n,h] - p_dot_d_p[n])"
    helper = derivation.network.equation_of("p_dot_d_p")
    assert str(helper.terms[0].body) in {"d_p[n,h]*p[n,h]", "p[n,h]*d_p[n,h]"}


def test_layer_norm_has_three_terms(derived, formula):
    x, t = bp.input("x", D), bp.input("t", H)
    z = linear(x, H, name="fc")
    derivation = derived(mean_squared_error(layer_norm(z, name="norm"), t), z=z)
    text = formula(derivation, "z")
    assert text.startswith("∂L/∂z[n,h] = rstd1[n] (∂L/∂xhat1[n,h] - ")
    assert text.count(" - ") == 2
    assert "xhat1[n,h] xhat1_dot_d_xhat1[n]/H" in text
    assert "sum_d_xhat1[n]/H" in text


@pytest.mark.parametrize(
    ("extents", "axes"),
    [
        ((5,), ("n,d", "d", "N")),
        ((5, 3), ("n,t,d", "t", "(D N)")),
        ((5, 2, 3), ("n,c,h,w", "c", "(H N W)")),
    ],
)
def test_batch_norm_has_three_terms_over_any_axes(derived, formula, extents, axes):
    x, t = bp.input("x", *extents), bp.input("t", *extents)
    V = bp.parameter("V", *x.indices[1:])
    z = bp.define("z", x.indices, x[x.indices] * V[x.indices[1:]])
    derivation = derived(mean_squared_error(tanh(batch_norm(z, name="norm")), t), z=z)
    at, c, count = axes
    assert formula(derivation, "z") == (
        f"∂L/∂z[{at}] = rstd1[{c}] (∂L/∂xhat1[{at}] - xhat1[{at}] xhat1_dot_d_xhat1[{c}]/{count} "
        f"- sum_d_xhat1[{c}]/{count})"
    )


def test_rms_norm_has_two_terms(derived, formula):
    x, t = bp.input("x", D), bp.input("t", H)
    z = linear(x, H, name="fc")
    derivation = derived(mean_squared_error(rms_norm(z, name="norm"), t), z=z)
    assert formula(derivation, "z").count(" - ") == 1


def test_sigmoid_cross_entropy_is_p_minus_t(derived, formula):
    x, t = bp.input("x", D), bp.input("t", H)
    z = linear(x, H, name="fc")
    derivation = derived(sigmoid_cross_entropy(z, t), z=z)
    assert formula(derivation, "z") == "∂L/∂z[n,h] = (p[n,h] - t[n,h])/(H N)"


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("tanh", "(1 - h[n,h]²) ∂L/∂h[n,h]"),
        ("sigmoid", "h[n,h] (1 - h[n,h]) ∂L/∂h[n,h]"),
        ("relu", "[z[n,h] > 0] ∂L/∂h[n,h]"),
    ],
)
def test_an_activation_is_differentiated_into_its_saved_output(
    derived, formula, activation, expected
):
    x, t = bp.input("x", D), bp.input("t", K)
    z = linear(x, H, name="fc")
    h = getattr(activations, activation)(z)
    derivation = derived(mean_squared_error(linear(h, K, name="out"), t), z=z, h=h)
    assert formula(derivation, "z") == f"∂L/∂z[n,h] = {expected}"

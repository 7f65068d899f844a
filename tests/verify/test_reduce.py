"""Reduced extents keep what equations demand, and the verdict tells proof from measurement."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import sympy
from tests.derive.test_windows import CONFIGURATIONS, loss_of, windowed
from tests.verify.planted import checked, mlp, scaled, tampered
from tests.verify.test_emitted import emitted

import bpgen as bp
from bpgen import layers, losses
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.ir.expr import Where
from bpgen.verify import check, proved_digits, reductions
from bpgen.verify.numbers import COMPLEX, EXTENDED
from bpgen.verify.problem import problem

AGREEMENT = 30


def reduction(loss):
    """The network of `loss` at the smallest extents, and the derivation of its gradient."""
    net = network(loss, {}, name="t")
    return next(reductions(net, derive(net)))


def shape(net, name):
    return net.tensors[name].shape


def mean(y):
    return bp.define("total", (), bp.mean(y[y.indices] ** 2, over=y.indices))


# ---- what equations demand -----------------------------------------------------------------------


def test_free_extents_become_different_primes():
    small, derivation = next(reductions(*_large()))
    sizes = [e.value for e in derivation.network.extents() if e.value]
    assert len(set(sizes)) == len(sizes)
    assert all(sympy.isprime(size) for size in sizes)
    assert problem(small, derivation).cost < problem(*_large()).cost / 20


def _large():
    """A network of one axis each of 62, 46 and 34, and labels below 34."""
    x, label = bp.input("x", 62), bp.label("answer", classes=34)
    h = layers.linear(tanh(layers.linear(x, 46, name="a")), 34, name="b")
    net = network(losses.softmax_cross_entropy(h, label), {}, name="large")
    return net, derive(net)


def tanh(x):
    return bp.define("y", x.indices, sympy.tanh(x[x.indices]))


def test_labels_and_tokens_stay_below_the_axis_they_are_looked_up_in():
    tokens = bp.input("tokens", 16, dtype="int", below=96)
    answer = bp.label("answer", 16, classes=41)
    logits = layers.linear(layers.embedding(tokens, 32, name="e"), 41, name="out")
    small, _ = reduction(losses.softmax_cross_entropy(logits, answer))
    assert small.tensors["tokens"].below == shape(small, "e_W")[0] < 16
    assert small.tensors["answer"].below == shape(small, "out_W")[1] < 16


def test_a_class_that_is_ignored_stays_a_class():
    logits, answer = bp.input("x", 64), bp.label("answer", classes=64)
    z = layers.linear(logits, 64, name="out")
    small, derivation = reduction(losses.softmax_cross_entropy(z, answer, ignore=20))
    assert small.tensors["answer"].below > 20
    assert proved_digits(small, derivation, seed=1) > AGREEMENT


def test_a_split_axis_has_as_many_entries_as_its_parts_together():
    x = bp.input("x", 48)
    y = layers.group_norm(layers.linear(x, 96, name="a"), 8, name="norm")
    small, derivation = reduction(mean(y))
    (width,) = shape(small, "norm_gain")
    (split,) = (t for t in small.tensors.values() if t.name.startswith("u"))
    assert width == np.prod(split.shape[1:]) < 96
    assert proved_digits(small, derivation, seed=1) > AGREEMENT


def test_flattened_axes_stay_complete():
    x = bp.input("x", 6, 14, 14)
    y = layers.linear(layers.flatten(x), 32, name="a")
    small, derivation = reduction(mean(y))
    assert shape(small, "a_W")[0] == np.prod(shape(small, "x")[1:]) < 6 * 14 * 14
    assert proved_digits(small, derivation, seed=1) > AGREEMENT


@pytest.mark.parametrize("configuration", [(28, 3, 1, 1, 1), (31, 3, 1, 2, 2), (64, 4, 4, 1, 0)])
def test_the_input_of_a_window_shrinks_with_its_output(configuration):
    loss = loss_of(windowed(*configuration, channels=16, filters=32))
    small, derivation = reduction(loss)
    extent, kernel, step, gap, border = configuration
    (*_, kernel_now), (*_, input_now) = shape(small, "W"), shape(small, "x")
    outputs = shape(small, "z")[-1]
    assert kernel_now == kernel
    assert step * (outputs - 1) + gap * (kernel - 1) + 1 == input_now + 2 * border
    assert input_now < extent / 2
    assert proved_digits(small, derivation, seed=1) > AGREEMENT


@pytest.mark.parametrize("configuration", CONFIGURATIONS[::11], ids=str)
def test_windows_of_all_kinds_keep_their_gradient(configuration):
    net = network(loss_of(windowed(*configuration)), {}, name="t")
    for small, derivation in reductions(net, derive(net)):
        assert proved_digits(small, derivation, seed=1) > AGREEMENT


@pytest.mark.parametrize(("kernel", "step"), [(2, 2), (3, 2), (3, 1)])
def test_windows_of_a_maximum_keep_its_addresses(kernel, step):
    x = bp.input("x", 13, 31)
    n, c, h = x.indices
    s = bp.parameter("s", c, h)
    y = bp.define("y", (n, c, h), x[n, c, h] * s[c, h])
    u, i = bp.index("u", kernel), bp.index("i", (33 - kernel) // step + 1)
    entry = bp.pad(y[n, c, step * i + u - 1], -sympy.oo)
    small, derivation = reduction(loss_of(bp.define("z", (n, c, i), bp.max(entry, over=u))))
    assert shape(small, "x")[1] < 31
    assert proved_digits(small, derivation, seed=1) > AGREEMENT


def test_a_maximum_over_a_border_alone_is_no_doubt():
    x = bp.input("x", 13, 7)
    n, c, h = x.indices
    s = bp.parameter("s", c, h)
    y = bp.define("y", (n, c, h), x[n, c, h] * s[c, h])
    u, v = bp.index("u", 3), bp.index("v", 3)
    i, j = bp.index("i", 13), bp.index("j", 7)
    entry = bp.pad(y[n, i + u - 1, j + v - 1], -sympy.oo)
    net = network(loss_of(bp.define("z", (n, i, j), bp.max(entry, over=(u, v)))), {}, name="t")
    assert proved_digits(net, derive(net), seed=1) > 90


def test_a_table_of_numbers_loses_its_last_ones():
    x = bp.input("x", 31)
    n, d = x.indices
    w = bp.parameter("w", d)
    wave = bp.table("wave", (d,), np.sin(np.arange(31)).tolist())
    small, derivation = reduction(mean(bp.define("y", (n, d), x[n, d] * w[d] * wave[d])))
    (width,) = shape(small, "wave")
    assert small.tensors["wave"].values == tuple(np.sin(np.arange(width)))
    assert width < 31
    assert proved_digits(small, derivation, seed=1) > AGREEMENT


def test_a_table_of_addresses_stays_as_it_is():
    x = bp.input("x", 31)
    n, d = x.indices
    w = bp.parameter("w", d)
    (j,) = (bp.index("j", 5),)
    tap = bp.table("tap", (j,), [30, 2, 17, 2, 9])
    y = bp.define("y", (n, j), x[n, tap[j]] * w[tap[j]])
    small, derivation = reduction(mean(y))
    assert shape(small, "w") == (31,)
    assert small.tensors["tap"].values == (30, 2, 17, 2, 9)
    assert proved_digits(small, derivation, seed=1) > AGREEMENT


def test_an_entry_that_is_named_by_its_number_stays_inside():
    x = bp.input("x", 64)
    n, d = x.indices
    w = bp.parameter("w", d)
    y = bp.define("y", (n,), bp.sum(x[n, d] * w[d], over=d) * w[23])
    small, derivation = reduction(mean(y))
    assert 23 < shape(small, "w")[0] < 64
    assert proved_digits(small, derivation, seed=1) > AGREEMENT


def test_a_position_that_is_told_from_others_stays_among_others():
    x = bp.input("x", 64)
    n, d = x.indices
    w = bp.parameter("w", d)
    y = bp.define("y", (n, d), x[n, d] * w[d] * Where(d < 9, 2, 3))
    small, _ = reduction(mean(y))
    assert 9 < shape(small, "w")[0] < 64


# ---- the verdict ---------------------------------------------------------------------------------


@pytest.fixture
def small_budget(monkeypatch):
    """Every network is too large for a proof at its own extents."""
    monkeypatch.setattr(sys.modules[check.__module__], "BUDGET", 0)


pytestmark = pytest.mark.usefixtures("small_budget")


def test_the_verdict_states_where_it_is_proved_and_where_measured():
    net, derivation = _large()
    code = emitted(net, derivation, "float64", batch=2)
    verdict = checked(net, derivation, seed=1, emitted=[code])
    assert verdict.verdict == "VERIFIED", verdict.reason
    assert verdict.digits >= 90
    assert max(verdict.extents.values()) < 20
    assert set(verdict.declared.values()) >= {62, 46, 34}
    assert verdict.parameters["a_W"] == 62 * 46
    assert verdict.measured.extents["N"] == 2
    assert verdict.measured.complex_step > 14
    assert 0 < verdict.measured.emitted[0].error < 1e-14
    assert 0 < verdict.measured.integrals[0].error < 1e-14
    text = " ".join(str(verdict).split())
    assert "at reduced extents N=" in text
    assert "not proved, at N=2" in text
    plain = verdict.to_json()
    assert plain["measured"]["extents"]["N"] == 2
    assert plain["declared"].keys() == plain["extents"].keys()


def test_within_the_budget_the_declared_extents_are_proved(net, derivation, monkeypatch):
    monkeypatch.setattr(sys.modules[check.__module__], "BUDGET", 10_000)
    verdict = checked(net, derivation, seed=1)
    assert not verdict.declared
    assert verdict.measured is None


@pytest.mark.parametrize("factor", [2, 1 + sympy.Rational(1, 10**12)], ids=str)
def test_a_wrong_gradient_is_refuted_at_reduced_extents(factor):
    net, derivation = _large()
    verdict = checked(net, tampered(derivation, "d_a_W", scaled(factor)), seed=1)
    assert verdict.verdict == "REFUTED"
    assert verdict.diagnosis.tensor == "a_W"


def test_a_gradient_that_is_wrong_at_the_declared_extents_alone_is_not_verified():
    net, derivation = _large()
    right_at = next(reductions(net, derivation))[0].tensors["a_b"].shape[0]
    wrong = tampered(derivation, "d_a_b", scaled(lambda h: h.extent / right_at))
    verdict = checked(net, wrong, seed=1)
    assert verdict.verdict == "UNDECIDED"
    assert "at the declared extents the complex step agrees to" in verdict.reason


def test_code_that_is_wrong_at_the_declared_extents_is_refuted():
    net, derivation = _large()

    def one_entry(gradient):
        wrong = gradient["a_W"].copy()
        wrong[61, 45] += 1e-3
        return {**gradient, "a_W": wrong}

    code = emitted(net, derivation, "float64", one_entry, batch=2)
    verdict = checked(net, derivation, seed=1, emitted=[code])
    assert verdict.verdict == "REFUTED"
    assert "a_W is off by" in verdict.reason


def test_a_gradient_that_does_not_add_up_at_the_declared_extents_is_refuted():
    from bpgen.verify.conclude import conclude

    net, derivation = _large()
    code = emitted(net, derivation, "float64", lambda g: {**g, "a_b": 2 * g["a_b"]}, batch=2)
    verdict = checked(net, derivation, seed=1, emitted=[code])
    agreeing = replace(verdict.measured, emitted=())
    alone = conclude(replace(verdict, measured=agreeing))
    assert alone.verdict == "REFUTED"
    assert "line integral" in alone.reason


def test_code_that_is_wrong_at_the_reduced_extents_is_refuted(net, derivation):
    def code(small):
        return [emitted(small.source, small, "float64", lambda g: {**g, "b": 2 * g["b"]})]

    verdict = check(net, derivation, seed=1, emitted_from=code)
    assert verdict.verdict == "REFUTED"
    assert "b is off by" in verdict.reason


def test_a_complex_step_that_disagrees_leaves_it_open(net, derivation):
    from bpgen.verify.conclude import conclude

    verdict = checked(net, derivation, seed=1)
    wrong = replace(verdict, measured=replace(verdict.measured, complex_step=3.0))
    assert conclude(wrong).verdict == "UNDECIDED"
    assert "declared extents" in conclude(wrong).reason


# ---- the numbers of the measurement --------------------------------------------------------------


def test_erf_of_a_complex_number_keeps_its_slope():
    x = np.concatenate([np.linspace(-7, 7, 57), [0.0]])
    found = COMPLEX.function("erf", x + 1e-20j)
    slope = 2 / np.sqrt(np.pi) * np.exp(-(x**2))
    # the series, of size 1, times its outer factor cancels what is 2 x² as large, 50 at most
    assert np.abs(found.imag / 1e-20 - slope).max() < 50 * np.finfo(float).eps


def test_extended_precision_holds_constants_to_its_own_rounding():
    third = EXTENDED.constant(sympy.Rational(1, 3))
    assert abs(3 * third - 1) <= np.finfo(np.longdouble).eps
    assert np.isnan(EXTENDED.constant(sympy.nan)).all()


# ---- the quick proof -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_quick_proof_shows_ninety_digits_of_a_right_gradient(seed):
    for activation in (sympy.tanh, lambda z: sympy.Max(z, 0)):
        net = mlp(activation)
        assert proved_digits(net, derive(net), seed) > 90


def test_a_quick_proof_shows_as_many_digits_as_a_wrong_gradient_has_right(net, derivation):
    wrong = tampered(derivation, "d_V", scaled(1 + sympy.Rational(1, 10**12)))
    assert 9 < proved_digits(net, wrong, seed=1) < 16

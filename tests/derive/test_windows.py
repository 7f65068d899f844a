"""Windows, borders, slices, joins: every index map is inverted without scatter, guard or modulo."""

import itertools

import pytest
import sympy

import bpgen as bp
from bpgen.layers import avg_pool, conv1d, conv_transpose2d, max_pool
from bpgen.spell import FormulaSpeller


def loss_of(z):
    """Return a loss in which every entry of `z` has another weight."""
    weight = bp.input("weight", *(i.extent.value for i in z.indices[1:]))
    at = z.indices
    return bp.define("loss", (), bp.mean(sympy.sin(z[at] * weight[at]), over=at))


def windowed(extent, kernel, step, gap, border, *, channels=2, filters=3):
    """Return a convolution in one dimension of a tensor that depends on a parameter."""
    x = bp.input("x", channels, extent)
    n, c, h = x.indices
    s = bp.parameter("s", c, h)
    y = bp.define("y", (n, c, h), x[n, c, h] * s[c, h])
    f, u = bp.index("f", filters), bp.index("u", kernel)
    i = bp.index("i", (extent + 2 * border - gap * (kernel - 1) - 1) // step + 1)
    W = bp.parameter("W", f, c, u)
    entry = bp.pad(y[n, c, step * i + gap * u - border])
    return bp.define("z", (n, f, i), bp.sum(entry * W[f, c, u], over=(c, u)))


CONFIGURATIONS = [
    (extent, kernel, step, gap, border)
    for extent, kernel, step, gap, border in itertools.product(
        (5, 7, 8), (1, 2, 3, 4), (1, 2, 3), (1, 2, 3), (0, 1, 2)
    )
    if extent + 2 * border >= gap * (kernel - 1) + 1 and (kernel > 1 or gap == 1)
]


@pytest.mark.parametrize("configuration", CONFIGURATIONS[::7], ids=str)
def test_a_convolution_has_the_gradient_of_its_formula(derived, configuration):
    derived(loss_of(windowed(*configuration)))


def test_a_window_is_solved_for_the_position_without_modulo_guard_or_scatter(derived):
    derivation = derived(loss_of(windowed(9, 3, 2, 1, 1)))
    text = "\n".join(FormulaSpeller().equation(e) for e in derivation.network.equations)
    for sign in ("%", "//", "mod", "δ", " if ", "≥", "≤"):
        assert sign not in text, text


def test_a_convolution_in_two_dimensions_with_a_step_has_a_gradient_that_is_one(derived, formula):
    x = bp.input("x", 2, 7, 5)
    n, c, h, w = x.indices
    s = bp.parameter("s", c)
    y = bp.define("y", (n, c, h, w), x[n, c, h, w] * s[c])
    f, u, v = bp.index("f", 3), bp.index("u", 3), bp.index("v", 3)
    i, j = bp.index("i", 4), bp.index("j", 3)
    W = bp.parameter("W", f, c, u, v)
    entry = bp.pad(y[n, c, 2 * i + u - 1, 2 * j + v - 1])
    z = bp.define("z", (n, f, i, j), bp.sum(entry * W[f, c, u, v], over=(c, u, v)))
    derivation = derived(loss_of(z))
    assert formula(derivation, "W").startswith("∂L/∂W[f,c,u,v] = Σ_{n,")


@pytest.mark.parametrize(("kernel", "step"), [(2, 2), (3, 2), (2, 3), (3, 1)])
def test_a_maximum_over_windows_goes_back_to_its_address(derived, kernel, step):
    x = bp.input("x", 2, 7, 8)
    n, c, h, w = x.indices
    s = bp.parameter("s", c, h)
    y = bp.define("y", (n, c, h, w), x[n, c, h, w] * s[c, h])
    u, v = bp.index("u", kernel), bp.index("v", kernel)
    i, j = bp.index("i", (9 - kernel) // step + 1), bp.index("j", (10 - kernel) // step + 1)
    entry = bp.pad(y[n, c, step * i + u - 1, step * j + v - 1], -sympy.oo)
    derived(loss_of(bp.define("z", (n, c, i, j), bp.max(entry, over=(u, v)))))


def test_a_mean_over_overlapping_windows_counts_each_entry_as_often_as_it_is_read(derived):
    x = bp.input("x", 7)
    n, h = x.indices
    s = bp.parameter("s", h)
    y = bp.define("y", (n, h), x[n, h] * s[h])
    i, u = bp.index("i", 3), bp.index("u", 3)
    derived(loss_of(bp.define("z", (n, i), bp.mean(y[n, 2 * i + u], over=u))))


def test_slices_and_a_concatenation_are_each_others_gradient(derived, formula):
    x = bp.input("x", 5)
    n, d = x.indices
    W = bp.parameter("W", d, bp.index("k", 7))
    k = W.indices[1]
    z = bp.define("z", (n, k), bp.sum(x[n, d] * W[d, k], over=d))
    a, b, joined = bp.index("a", 3), bp.index("b", 4), bp.index("j", 7)
    first = bp.define("first", (n, a), sympy.tanh(z[n, a + 4]))
    last = bp.define("last", (n, b), sympy.exp(z[n, 3 - b]))
    y = bp.define("y", (n, joined), bp.pad(first[n, joined]) + bp.pad(last[n, joined - 3]))
    derivation = derived(loss_of(y))
    assert "(0 outside)" in formula(derivation, "z")


def test_an_upsampled_entry_gathers_the_gradient_of_all_its_copies(derived, formula):
    x = bp.input("x", 3)
    n, h = x.indices
    s = bp.parameter("s", h)
    u = bp.index("u", 2)
    y = bp.define("y", (n, h), x[n, h] * s[h])
    up = bp.define("up", (n, 2 * h + u), y[n, h])
    derivation = derived(loss_of(up))
    assert "Σ" in formula(derivation, "y")


def test_a_window_of_a_window_and_a_diagonal_are_index_maps_too(derived):
    x = bp.input("x", 9)
    n, h = x.indices
    s = bp.parameter("s", h)
    y = bp.define("y", (n, h), x[n, h] * s[h])
    i, u, v = bp.index("i", 5), bp.index("u", 3), bp.index("v", 3)
    W = bp.parameter("W", u, v)
    z = bp.define("z", (n, i), bp.sum(y[n, i + u + v] * W[u, v], over=(u, v)))
    k, m = bp.index("k", 3), bp.index("m", 3)
    square = bp.define("square", (n, k, m), z[n, k + m] * z[n, 2 * k])
    derived(loss_of(square))


def test_the_axis_of_a_border_is_none_of_the_axes_beside_it(derived):
    x = bp.input("x", 1, 1, 7)
    s = bp.parameter("s", *x.indices[1:])
    y = bp.define("y", x.indices, x[x.indices] * s[s.indices])
    z = conv_transpose2d(
        y, 2, (3, 2), stride=(4, 3), padding=(0, 1), output_padding=(2, 0), dilation=(1, 2)
    )
    derived(loss_of(z))


def test_an_index_may_visit_the_first_entries_of_an_axis_alone(derived):
    x = bp.input("x", 7)
    n, h = x.indices
    s = bp.parameter("s", h)
    y = bp.define("y", (n, h), x[n, h] * s[h])
    k = bp.index("k", 3)
    derived(loss_of(bp.define("z", (n, k), bp.pad(y[n, k]) ** 2)))


def test_what_holds_the_first_entries_of_an_axis_names_no_others(derived):
    a = bp.index("a", 5)
    W = bp.parameter("W", a)
    y = bp.define("y", (a,), sympy.tanh(W[a]))
    j = bp.index("j", 3)
    z = bp.define("z", (j,), -bp.pad(y[j]))  # of which y² = z², but for 3 entries alone
    x = bp.input("x", 3)
    n = x.indices[0]
    derived(bp.define("loss", (), bp.mean(sympy.sin(z[j] * x[n, j]), over=(n, j))))


def test_beyond_the_part_of_a_tensor_that_is_read_there_is_no_gradient(derived):
    a = bp.index("a", 5)
    W = bp.parameter("W", a)
    y = bp.define("y", (a,), sympy.tanh(W[a]))
    k = bp.index("k", 2)
    part = bp.define("part", (k,), bp.pad(y[k]) / 3 - 2)
    i, u = bp.index("i", 4), bp.index("u", 1)
    x = bp.input("x", 4)
    n = x.indices[0]
    # The gradient of part has a border of its own, into which y[2] must not look.
    z = bp.define("z", (n, i), bp.max(bp.pad(part[i + u - 1]), over=u) * x[n, i])
    derived(bp.define("loss", (), bp.mean(sympy.sin(z[n, i]), over=(n, i))))


def test_windows_of_a_maximum_may_end_before_the_axis_does(derived):
    x = bp.input("x", 1, 7, 8)
    s = bp.parameter("s", *x.indices[1:])
    y = bp.define("y", x.indices, x[x.indices] * s[s.indices])
    derived(loss_of(max_pool(y, (3, 2), stride=(3, 5))))


def test_an_axis_with_one_entry_is_not_compared_with_it(derived, formula):
    x = bp.input("x", 3, 5)
    s = bp.parameter("s", *x.indices[1:])
    y = bp.define("y", x.indices, x[x.indices] * s[s.indices])
    derivation = derived(loss_of(conv1d(y, 3, 2, groups=3, name="z", bias=False)))
    assert "δ" not in formula(derivation, "z_W")


def test_an_index_that_is_solved_for_lends_its_letter_to_no_other(derived):
    x = bp.input("x", 1, 4, 4, 4)
    s = bp.parameter("s", *x.indices[1:])
    y = bp.define("y", x.indices, x[x.indices] * s[s.indices])
    derived(loss_of(avg_pool(y, (2, 3, 1), stride=(5, 3, 3))))

"""Index calculus: what is summed, what is renamed, what stays as a δ."""

import pytest
import sympy

import bpgen as bp
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.errors import UnreachedError
from bpgen.ir.equation import Op
from bpgen.ir.expr import Delta, indices_of

D, H, K = 3, 5, 7


@pytest.fixture
def x():
    return bp.input("x", D)


def matrix(name, *extents):
    letters = "ijkl"
    return bp.parameter(name, *(bp.index(letters[k], e) for k, e in enumerate(extents)))


def mean_square(y):
    return bp.define("loss", (), bp.mean(y[y.indices] ** 2, over=y.indices))


def test_a_bound_index_is_never_captured(derived, formula):
    n, d = (x := bp.input("x", D)).indices
    W = bp.parameter("W", d, bp.index("d2", D))
    y = bp.define("y", (n, d), bp.sum(W[d, W.indices[1]] * x[n, W.indices[1]], over=W.indices[1]))
    derived(mean_square(y))


def test_one_tensor_read_twice_gives_one_term_for_each_access(derived):
    A = matrix("A", H, H)
    i, j = A.indices
    k = bp.index("k", H)
    C = bp.define("C", (i, j), bp.sum(A[i, k] * A[k, j], over=k))
    derivation = derived(mean_square(C))
    assert len(derivation.adjoints["A"].steps) == 2


def test_a_diagonal_is_read_and_written_along_the_diagonal(derived):
    A = matrix("A", H, H)
    (i, _) = A.indices
    t = bp.define("t", (i,), A[i, i] ** 3)
    derivation = derived(mean_square(t))
    assert derivation.adjoints["A"].equation.terms[0].body.has(Delta)


def test_a_transposed_read_is_renamed_not_copied(derived):
    A = matrix("A", D, H)
    i, j = A.indices
    B = bp.define("B", (j, i), sympy.sin(A[i, j]))
    derived(mean_square(B))


@pytest.mark.parametrize("extents", [(H,), (H, K)])
def test_a_tensor_read_under_other_letters_is_renamed_back(derived, extents):
    B = matrix("B", *extents)
    others = tuple(bp.index(letter, e) for letter, e in zip("pq", extents, strict=False))
    y = bp.define("y", others, sympy.tanh(B[others]))
    derivation = derived(mean_square(y))
    (term,) = derivation.adjoints["B"].equation.terms
    assert indices_of(term.body) <= {*derivation.source.tensors["B"].indices}


def test_a_broadcast_becomes_a_sum(derived, formula, x):
    n, d = x.indices
    b = bp.parameter("b", d)
    y = bp.define("y", (n, d), x[n, d] * b[d])
    derivation = derived(mean_square(y))
    assert "Σ_n" in formula(derivation, "b")


def test_labels_need_no_one_hot(derived):
    x, y = bp.input("x", D), bp.label("y", classes=K)
    n, d = x.indices
    W = bp.parameter("W", d, bp.index("k", K))
    k = W.indices[1]
    z = bp.define("z", (n, k), bp.sum(x[n, d] * W[d, k], over=d))
    picked = bp.define("picked", (n,), z[n, y[n]])
    derivation = derived(mean_square(picked))
    body = derivation.adjoints["z"].equation.terms[0].body
    assert body.atoms(Delta) or derivation.adjoints["z"].inlined


def test_a_maximum_sends_its_cotangent_to_the_winner(derived, x):
    n, d = x.indices
    W = bp.parameter("W", d, bp.index("h", H))
    h = W.indices[1]
    z = bp.define("z", (n, h), bp.sum(x[n, d] * W[d, h], over=d))
    derivation = derived(mean_square(bp.define("m", (n,), bp.max(z[n, h], over=h))))
    assert any(e.op is Op.ARGMAX for e in derivation.network.equations)


def test_a_held_value_passes_no_cotangent(derived, x):
    n, d = x.indices
    b = bp.parameter("b", d)
    y = bp.define("y", (n, d), b[d] * bp.hold(b[d] ** 2) + x[n, d])
    derivation = derived(mean_square(y))
    assert len(derivation.adjoints["b"].steps) == 1


def test_nested_sums_are_split_and_named_after_what_they_serve(derived, x):
    n, d = x.indices
    V = bp.parameter("V", d, bp.index("r", H))
    r = V.indices[1]
    inner = bp.sum(x[n, d] * V[d, r], over=d) ** 2
    pooled = bp.define("pooled", (n,), bp.sum(inner, over=r))
    derivation = derived(mean_square(pooled))
    assert "pooled_sum" in derivation.network.tensors


def test_axes_are_joined_and_taken_apart_without_a_copy(derived):
    from bpgen.layers import flatten, linear

    image = bp.input("image", 2, 3, 5)
    n, c, h, w = image.indices
    G = bp.parameter("G", c, h, w)
    scaled = bp.define("scaled", (n, c, h, w), sympy.tanh(image[n, c, h, w] * G[c, h, w]))
    derived(mean_square(linear(flatten(scaled), 7, name="out")))


def test_a_parameter_behind_a_hold_never_reaches_the_loss(x):
    n, d = x.indices
    b = bp.parameter("b", d)
    c = bp.parameter("c", d)
    y = bp.define("y", (n, d), bp.hold(b[d]) * c[d] * x[n, d])
    with pytest.raises(UnreachedError, match="`b`"):
        derive(network(mean_square(y), {}, name="test"))


def test_no_cotangent_is_read_before_it_is_complete(derived, x):
    from bpgen.layers import layer_norm, linear

    y = linear(layer_norm(linear(x, H, name="a"), name="n"), K, name="b")
    derivation = derived(mean_square(y + sympy.Rational(1, 2) * y))
    derivation.network.check()  # asserts the order of definitions and reads


def test_the_cost_is_linear_in_depth():
    from bpgen.layers import linear

    def equations(depth):
        h = bp.input("x", D)
        for k in range(depth):
            h = h + linear(h, D, name=f"l{k}")
        return len(derive(network(mean_square(h), {}, name="t")).network.equations)

    first, second, third = (equations(k) for k in (4, 8, 16))
    assert third - second == 2 * (second - first)


def test_what_an_axis_is_split_into_keeps_its_own_cotangent(derived, formula):
    c, g, r = bp.index("c", 6), bp.index("g", 2), bp.index("r", 3)
    W, scale = bp.parameter("W", c), bp.parameter("scale", g)
    u = bp.define("u", (g, r), W[3 * g + r])
    y = bp.define("y", (g, r), u[g, r] * scale[g])
    loss = bp.define("loss", (), bp.sum(y[g, r], over=(g, r)))
    assert formula(derived(loss), "W") == "∂L/∂W[3 g + r] = ∂L/∂u[g,r]"

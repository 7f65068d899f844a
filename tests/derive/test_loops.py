"""The chain rule through loops: the printed forms of textbooks, and every step proved."""

import time
from dataclasses import replace

import pytest
import sympy
from tests.derive.conftest import check

import bpgen as bp
from bpgen.activations import tanh
from bpgen.declare.network import network
from bpgen.derive import derive
from bpgen.document import Document
from bpgen.ir.equation import Equation, Term
from bpgen.ir.order import Loop, ordered
from bpgen.ir.tensor import Role, Tensor
from bpgen.layers import attention, bidirectional, gru, layer_norm, linear, lstm, rnn

T, D, K = 3, 5, 7


def mean_square(h):
    return bp.define("loss", (), bp.mean(h[h.indices] ** 2, over=h.indices))


def loops(equations):
    return [g for g in ordered(equations) if isinstance(g, Loop)]


def test_the_cotangent_of_a_recurrence_runs_the_other_way(derived, formula):
    d = derived(mean_square(rnn(bp.input("x", T, D), K)))
    assert formula(d, "h").startswith("∂L/∂h[n,t,k] = ∂L/∂h_before[n,t+1,k] (0 outside) + ")
    up, down = loops(d.network.equations)
    assert not up.reverse
    assert down.reverse
    assert {e.out.name for e in down.equations()} == {"d_h", "d_z", "d_h_before"}


def test_gradients_of_shared_weights_are_products_over_all_steps(derived, formula):
    d = derived(mean_square(rnn(bp.input("x", T, D), K)))
    assert formula(d, "U1") == "∂L/∂U1[j,k] = Σ_{n,t} h_before[n,t,j] ∂L/∂z[n,t,k]"
    assert formula(d, "W1") == "∂L/∂W1[d,k] = Σ_{n,t} x[n,t,d] ∂L/∂z[n,t,k]"


def test_a_start_gains_what_the_first_step_passes_back(derived, formula):
    start = bp.parameter("start", bp.index("k", K))
    d = derived(mean_square(rnn(bp.input("x", T, D), K, start=start)))
    assert formula(d, "start") == "∂L/∂start[k] = Σ_n ∂L/∂h_before[n,0,k]"
    d = derived(mean_square(rnn(bp.input("x", T, D), K, start=start, reverse=True)))
    assert formula(d, "start") == "∂L/∂start[k] = Σ_n ∂L/∂h_after[n,T-1,k]"


def test_the_gates_of_an_lstm_have_their_textbook_gradients(derived, formula):
    d = derived(mean_square(lstm(bp.input("x", T, D), K)))
    c, h = "∂L/∂c[n,t,k]", "∂L/∂h[n,t,k]"
    assert formula(d, "i") == f"∂L/∂i[n,t,k] = g[n,t,k] {c}"
    assert formula(d, "f") == f"∂L/∂f[n,t,k] = c_before[n,t,k] {c}"
    assert formula(d, "g") == f"∂L/∂g[n,t,k] = i[n,t,k] {c}"
    assert formula(d, "o") == f"∂L/∂o[n,t,k] = c_tanh[n,t,k] {h}"
    assert formula(d, "zi") == f"∂L/∂zi[n,t,k] = i[n,t,k] (1 - i[n,t,k]) g[n,t,k] {c}"
    assert formula(d, "zg") == f"∂L/∂zg[n,t,k] = i[n,t,k] (1 - g[n,t,k]²) {c}"
    assert formula(d, "c_before") == f"∂L/∂c_before[n,t,k] = f[n,t,k] {c}"
    assert formula(d, "c") == (
        f"∂L/∂c[n,t,k] = ∂L/∂c_before[n,t+1,k] (0 outside) + o[n,t,k] (1 - c_tanh[n,t,k]²) {h}"
    )


@pytest.mark.parametrize("layer", [rnn, lstm, gru])
@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"truncate": 2}])
def test_every_gradient_is_the_complex_step(derived, layer, options):
    derived(mean_square(layer(bp.input("x", T, D), 2, **options)))


def test_both_directions_and_layers_on_layers_are_the_complex_step(derived):
    derived(mean_square(gru(bidirectional(rnn, bp.input("x", T, 2), 2), 2)))


def test_a_recurrence_over_one_step_is_the_complex_step(derived):
    derived(mean_square(lstm(bp.input("x", 1, D), 2)))


def test_a_loss_of_the_last_state_alone_is_the_complex_step(derived):
    h = lstm(bp.input("x", T, D), 2)
    n, _t, k = h.indices
    last = bp.define("last", (n, k), h[n, T - 1, k])
    derived(mean_square(linear(last, 3)))


def test_a_state_that_only_an_output_reads_has_no_cotangent():
    x = bp.input("x", T, D)
    z = linear(x, K)
    n, t, k = z.indices
    total = bp.recurrence("total", (n, t, k), over=t)
    total.becomes(total[n, t - 1, k] + z[n, t, k])
    d = derive(network(mean_square(z), {"total": total}, name="t"))
    assert "total" not in d.adjoints


def block(x):
    return x + linear(tanh(linear(x, K)), D)


def test_a_repeated_block_is_printed_once_with_its_loop(derived, formula):
    d = derived(mean_square(bp.repeat(block, 3, bp.input("x", D))))
    assert formula(d, "block") == (
        "∂L/∂block[b,n,d] = ∂L/∂block_before[b+1,n,d] (2 block_last[n,d]/(D N) outside)"
    )
    text = Document(d).render()
    assert text.count("= tanh(") == 1
    assert text.count("for b = 0 … B-1") == 1
    assert text.count("for b = B-1 … 0") == 1
    for form in ("markdown", "latex", "html", "json"):
        assert Document(d).render(form).count("for ") >= 2


def test_two_blocks_and_a_thousand_print_the_same():
    def printed(count):
        y = bp.repeat(block, count, bp.input("x", D))
        return str(Document(derive(network(mean_square(y), {}, name="t")))).replace(
            f"{count} ×", "B ×"
        )

    assert printed(2) == printed(1000)


def test_a_recurrence_inside_a_repeated_block_is_a_loop_inside(derived):
    y = bp.repeat(lambda x: x + lstm(x, 2), 2, bp.input("x", T, 2))
    d = derived(mean_square(y))
    (forward, backward) = loops(d.network.equations)
    assert [g.index.name for g in forward.body if isinstance(g, Loop)] == ["t"]
    assert [g.reverse for g in backward.body if isinstance(g, Loop)] == [True]


def called_slopes(network):
    """The network of a derivation, its cotangents `slope_…`: a derivation again names its own."""
    names = {t: t.replace("d_", "slope_") for t in network.tensors if t.startswith("d_")}
    heads = {sympy.Symbol(a, real=True): sympy.Symbol(b, real=True) for a, b in names.items()}

    def renamed(tensor):
        name = names.get(tensor.name, tensor.name)
        role = Role.ACTIVATION if tensor.role in {Role.COTANGENT, Role.LOSS} else tensor.role
        return replace(tensor, name=name, role=role, of="")

    equations = tuple(
        replace(e, out=renamed(e.out), terms=tuple(t.replaced(heads) for t in e.terms))
        for e in network.equations
    )
    tensors = {t.name: t for t in map(renamed, network.tensors.values())}
    return replace(network, tensors=tensors, equations=equations)


def test_a_derivation_with_loops_can_be_derived_again(derived):
    """The gradient of half the square of a gradient: a Hessian times that gradient."""
    start = bp.parameter("start", bp.index("k", 2))
    first = derived(mean_square(rnn(bp.input("x", T, 2), 2, start=start)))
    again = called_slopes(first.network)
    slope, norm = again.tensors["slope_U1"].canonical, Tensor("norm", (), Role.LOSS)
    half = Equation(norm, (Term(slope**2 / 2, slope.indices),))
    tensors = {**again.tensors, "norm": norm}
    twice = derive(replace(again, tensors=tensors, equations=(*again.equations, half), loss="norm"))
    check(twice)
    assert len(loops(twice.network.equations)) == 4


def test_a_thousand_blocks_are_derived_as_two_are():
    def seconds(count):
        y = bp.repeat(lambda x: x + linear(tanh(linear(x, 32)), 32), count, bp.input("x", 32))
        net = network(mean_square(y), {}, name="t")
        begin = time.process_time()
        derive(net)
        return time.process_time() - begin

    assert min(seconds(1000) for _ in range(2)) < 1


def test_twenty_four_attention_blocks_take_no_longer_than_two():
    def transformer(x):
        x = x + attention(layer_norm(x), 2, causal=True)
        return x + linear(tanh(linear(layer_norm(x), 32)), 16)

    def seconds(count):
        begin = time.process_time()
        y = bp.repeat(transformer, count, bp.input("x", 8, 16))
        derive(network(mean_square(y), {}, name="t"))
        return time.process_time() - begin

    few = min(seconds(2) for _ in range(2))
    assert min(seconds(24) for _ in range(2)) < few + 1

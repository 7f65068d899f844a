"""A recurrence is declared first, read at the index before, and given its formula at last."""

import pytest
import sympy

import bpgen as bp
from bpgen.declare.network import network
from bpgen.errors import FormulaError, IndexUseError, OptionError, RecurrenceError, ShapeError
from bpgen.layers import gru, lstm, rnn
from bpgen.spell import FormulaSpeller, order_of

N, T, D, K = 2, 3, 5, 7


def axes():
    x = bp.input("x", T, D)
    return x, *x.indices, bp.index("k", K)


def mean_square(h):
    return bp.define("loss", (), bp.mean(h[h.indices] ** 2, over=h.indices))


def written(h):
    """The equations of the network that ends in the mean of h², by name."""
    net = network(mean_square(h), {}, name="t")
    speller = FormulaSpeller(order_of(net.tensors.values()))
    return {e.out.name: speller.equation(e) for e in net.equations}


def declared(**options):
    x, n, t, d, k = axes()
    W = bp.parameter("W", d, k)
    h = bp.recurrence("h", (n, t, k), over=t, **options)
    return x, (n, t, d, k), W, h


def test_the_state_before_is_a_tensor_of_its_own():
    x, (n, t, d, k), W, h = declared()
    z = bp.define("z", (n, t, k), bp.sum(x[n, t, d] * W[d, k], over=d) + h[n, t - 1, k])
    h.becomes(sympy.tanh(z[n, t, k]))
    assert written(h) == {
        "h_before": "h_before[n,t,k] = h[n,t-1,k] (0 outside)",
        "z": "z[n,t,k] = Σ_d x[n,t,d] W[d,k] + h_before[n,t,k]",
        "h": "h[n,t,k] = tanh(z[n,t,k])",
        "loss": "loss = Σ_{n,t,k} h[n,t,k]²/(K N T)",
    }


def test_a_start_that_is_a_tensor_stands_outside():
    start = bp.parameter("start", bp.index("k", K))
    x, (n, t, d, k), W, h = declared(start=start)
    h.becomes(bp.sum(x[n, t, d] * W[d, k], over=d) * h[n, t + 1, k])
    assert written(h)["h_after"] == "h_after[n,t,k] = h[n,t+1,k] (start[k] outside)"


def test_two_states_may_read_each_other():
    x, n, t, d, k = axes()
    W = bp.parameter("W", d, k)
    c = bp.recurrence("c", (n, t, k), over=t)
    h = bp.recurrence("h", (n, t, k), over=t)
    c.becomes(bp.sum(x[n, t, d] * W[d, k], over=d) + h[n, t - 1, k])
    h.becomes(c[n, t, k] * c[n, t - 1, k])
    assert set(written(h)) >= {"c", "h", "c_before", "h_before"}


def test_a_state_without_a_formula_is_refused_with_its_line():
    *_, h = declared()
    with pytest.raises(RecurrenceError, match="`h` has no formula") as refused:
        network(mean_square(h), {}, name="t")
    assert "bp.recurrence" in str(refused.value)


def test_a_state_that_reads_itself_at_one_index_is_refused():
    x, (n, t, d, k), W, h = declared()
    h.becomes(bp.sum(x[n, t, d] * W[d, k], over=d) + h[n, t, k])
    with pytest.raises(RecurrenceError, match="computed from itself") as refused:
        network(mean_square(h), {}, name="t")
    assert "h.becomes" in str(refused.value)
    assert "h[n,t,k] reads h[n,t,k]" in str(refused.value)


def test_a_state_that_reads_both_neighbours_is_refused():
    _x, (n, t, _d, k), _W, h = declared()
    with pytest.raises(RecurrenceError, match="reads the future"):
        h.becomes(h[n, t - 1, k] + h[n, t + 1, k])


def test_two_states_that_run_against_each_other_are_refused():
    x, n, t, d, k = axes()
    W = bp.parameter("W", d, k)
    up = bp.recurrence("up", (n, t, k), over=t)
    down = bp.recurrence("down", (n, t, k), over=t)
    up.becomes(bp.sum(x[n, t, d] * W[d, k], over=d) + up[n, t - 1, k] + down[n, t, k])
    down.becomes(down[n, t + 1, k] * up[n, t, k])
    with pytest.raises(RecurrenceError, match="reads the future"):
        network(mean_square(down), {}, name="t")


def test_a_second_formula_is_refused():
    _x, (n, t, _d, k), _W, h = declared()
    h.becomes(h[n, t - 1, k] + 1)
    with pytest.raises(RecurrenceError, match="two formulas"):
        h.becomes(h[n, t - 1, k] + 2)


def test_a_recurrence_over_an_index_that_it_lacks_is_refused():
    _, n, t, d, k = axes()
    with pytest.raises(IndexUseError, match="cannot run over `d`"):
        bp.recurrence("h", (n, t, k), over=d)


def test_a_start_of_another_shape_is_refused():
    _x, (n, t, _d, k), _W, h = declared(start=bp.parameter("start", bp.index("d", D)))
    with pytest.raises(ShapeError, match="cannot start `h`"):
        h.becomes(h[n, t - 1, k] + 1)


@pytest.mark.parametrize("truncate", [0, -1, 1.5])
def test_a_length_to_cut_at_that_is_no_number_of_steps_is_refused(truncate):
    with pytest.raises(OptionError):
        rnn(bp.input("x", T, D), K, truncate=truncate)


@pytest.mark.parametrize("layer", [rnn, lstm, gru])
def test_a_layer_over_what_is_no_sequence_is_refused(layer):
    with pytest.raises(ShapeError):
        layer(bp.input("x", D), K)


def test_a_formula_of_a_state_is_a_formula_of_the_language():
    _, (n, t, _d, k), _, h = declared()
    with pytest.raises(FormulaError):
        h.becomes(sympy.gamma(h[n, t - 1, k]))

"""Which equations form a loop is found, and what no loop computes is refused."""

import pytest

from bpgen.errors import RecurrenceError
from bpgen.ir.equation import Equation, Term
from bpgen.ir.expr import Pad, access
from bpgen.ir.index import index
from bpgen.ir.order import Loop, flat, ordered
from bpgen.ir.tensor import Role, Tensor

n, t, b = index("n", 2), index("t", 3), index("b", 5)


def entry(name, *at):
    return access(name, at)


def equation(name, axes, body):
    return Equation(Tensor(name, axes, Role.ACTIVATION), (Term(body),))


def shape_of(groups):
    """Names, and loops as (index, direction, …)."""
    return [
        (g.index.name, "down" if g.reverse else "up", *shape_of(g.body))
        if isinstance(g, Loop)
        else g.out.name
        for g in groups
    ]


def test_what_reads_nothing_that_comes_later_keeps_its_order():
    lines = (equation("z", (n,), entry("x", n)), equation("a", (n,), entry("x", n)))
    assert ordered(lines) == lines


def test_a_cycle_to_the_index_before_is_a_loop_upwards():
    before = equation("before", (n, t), Pad(entry("h", n, t - 1)))
    h = equation("h", (n, t), entry("before", n, t) * entry("x", n, t))
    y = equation("y", (n, t), entry("h", n, t))
    assert shape_of(ordered([y, h, before])) == [("t", "up", "before", "h"), "y"]


def test_a_cycle_to_the_index_after_is_a_loop_downwards():
    after = equation("after", (n, t), Pad(entry("h", n, t + 1)))
    h = equation("h", (n, t), entry("after", n, t))
    assert shape_of(ordered([h, after])) == [("t", "down", "after", "h")]


def test_an_equation_that_reads_itself_shifted_is_a_loop_alone():
    total = equation("s", (n, t), Pad(entry("s", n, t - 1)) + entry("x", n, t))
    assert shape_of(ordered([total])) == [("t", "up", "s")]


def test_a_cycle_that_is_left_in_one_turn_is_a_loop_inside():
    outer = equation("outer", (b, n, t), Pad(entry("h", b - 1, n, t)))
    inner = equation("inner", (b, n, t), Pad(entry("h", b, n, t - 1)))
    h = equation("h", (b, n, t), entry("outer", b, n, t) + entry("inner", b, n, t))
    assert shape_of(ordered([h, inner, outer])) == [("b", "up", "outer", ("t", "up", "inner", "h"))]


def test_what_a_loop_does_not_need_stands_outside_it():
    gate = equation("gate", (n, t), entry("x", n, t))
    before = equation("before", (n, t), Pad(entry("h", n, t - 1)))
    h = equation("h", (n, t), entry("before", n, t) * entry("gate", n, t))
    assert shape_of(ordered([before, h, gate])) == ["gate", ("t", "up", "before", "h")]


def test_a_thousand_equations_in_a_row_are_ordered():
    lines = [equation(f"z{k}", (n,), entry(f"z{k + 1}", n)) for k in range(1000)]
    assert [e.out.name for e in flat(ordered(lines))] == [f"z{k}" for k in reversed(range(1000))]


def test_a_cycle_at_one_index_is_refused():
    lines = [equation("h", (n, t), entry("z", n, t)), equation("z", (n, t), entry("h", n, t))]
    with pytest.raises(RecurrenceError, match="is computed from itself"):
        ordered(lines)


def test_a_cycle_in_both_directions_is_refused():
    before = equation("before", (n, t), Pad(entry("h", n, t - 1)))
    after = equation("after", (n, t), Pad(entry("h", n, t + 1)))
    h = equation("h", (n, t), entry("before", n, t) + entry("after", n, t))
    with pytest.raises(RecurrenceError, match="reads the future"):
        ordered([before, after, h])


@pytest.mark.parametrize("at", [t - 2, 2 * t - 1])
def test_a_cycle_that_skips_is_refused(at):
    with pytest.raises(RecurrenceError):
        ordered([equation("h", (n, t), Pad(entry("h", n, at)))])

"""What was measured is reported as it is: figures, goals, and what was missed."""

import pytest
from benchmarks.gaps import Gap, counted, noted
from benchmarks.limits import Limits
from benchmarks.race import Result, Row
from benchmarks.record import Record, read, write
from benchmarks.report import report
from benchmarks.workload import WORKLOADS

GAP = Gap("z1[n,h] = Σ_d x[n,d] fc1_W[d,h]", share=0.31, multiple=7.0)


def row(name, own, *, threads=1):
    """A row in which PyTorch takes two milliseconds, and bpgen `own` times as long."""
    results = {
        "bpgen": Result(0.25, 30_000_000, (2e-3 * own,) * 5, (2e-3 * own,) * 5),
        "torch": Result(3.0, 300_000_000, (2e-3,) * 5, (2e-3,) * 5),
    }
    return Row(name, threads, 1.5, Limits(1e11, 1e10, 3e-7), results, (GAP,))


def goal_line(name, own):
    """The line about the goal beside PyTorch, in a report of that row alone."""
    text = report(Record("a machine", (row(name, own),)))
    return next(line for line in text.splitlines() if "| 1 | PyTorch eager |" in line)


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_goal_is_missed_by_what_is_slower_and_met_by_what_is_not(name):
    bound = WORKLOADS[name].goals[0].bounds[1]
    assert "missed" in goal_line(name, 1.01 * bound)
    assert "met" in goal_line(name, 0.99 * bound)


def test_a_missed_goal_is_explained_by_its_statements():
    assert f"| `{GAP.formula}` | 31% | 7.0 |" in report(Record("a machine", (row("gru", 1.5),)))
    assert GAP.formula not in report(Record("a machine", (row("gru", 0.5),)))


def test_a_row_takes_the_place_of_the_one_it_repeats_and_others_stay(tmp_path):
    path = tmp_path / "steps.json"
    first = Record("a machine", (row("gru", 1.5), row("gru", 1.5, threads=2)))
    write(path, first.with_row(row("gru", 0.5)))
    found = read(path, "a machine")
    assert found == Record("a machine", (row("gru", 0.5), row("gru", 1.5, threads=2)))


def test_figures_of_another_machine_are_not_mixed_in(tmp_path):
    path = tmp_path / "steps.json"
    write(path, Record("a machine", (row("gru", 1.5),)))
    assert read(path, "another").rows == ()


def test_the_clock_is_told_of_each_formula_before_its_line():
    text = "def f():\n    # z[n] = Σ_d x[n,d]\n    sum()\n    # u[i] ← g[i]\n    copy()\n"
    assert noted(text).splitlines() == [
        "def f():",
        "    clock('z[n]')",
        "    # z[n] = Σ_d x[n,d]",
        "    sum()",
        "    clock('u[i]')",
        "    # u[i] ← g[i]",
        "    copy()",
    ]


def test_calls_of_numpy_are_counted_by_the_formula_above_them():
    text = """
def f():
    np.seterr(all="raise")
    # z[n] = Σ_d x[n,d]
    np.add(
        x, np.ones(3),
    )
    for t in range(3):
        a.x.take(i)


def g():
    np.add(x, y)
"""
    counts = [line.strip() for line in counted(text).splitlines() if "calls[" in line]
    assert counts == ["calls['z[n]'] += 1"] * 2
    before, after = counted(text).split("        calls['z[n]'] += 1\n")
    assert before.endswith("range(3):\n")
    assert after.startswith("        a.x.take")

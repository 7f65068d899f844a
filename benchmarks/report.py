"""The record as Markdown: goals first, then every figure, then what stands in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median, quantiles

from benchmarks.contestants import TITLES
from benchmarks.race import COMPARED, Result, Row
from benchmarks.record import Record
from benchmarks.workload import WORKLOADS, Goal

MEMORY, START = 1 / 4, 1 / 10  # goals: of what PyTorch eager takes
HEAD = f"""# Whole training steps, beside the frameworks

Forward, backward and update in float32, from the same values, on the same batch; the first
{COMPARED} losses agree. bpgen is the emitted numpy module, each contestant a process of its own
that steps in turn with the others; medians over rounds, in brackets the quartiles. PyTorch has
its fused optimizer, JAX one compiled function that overwrites its parameters. A ratio is the
median over rounds of bpgen's step over the other's in the same round: below 1, bpgen is faster.
With two threads the batch of LeNet, the residual block, GPT and GRU is shared among threads of
Python (`Trainer(…, threads=2)`), elsewhere the threads are those of BLAS.
With one thread, time is that of the processor, in which other work on the machine does not count;
with more it is that of the clock.
"""


def report(record: Record) -> str:
    """Return the whole report."""
    parts = [HEAD, f"{record.machine}.", "", *_goals(record)]
    for threads in record.threads:
        rows = record.of(threads)
        parts += ["", f"## A step in milliseconds, {_count(threads)}", "", *_times(rows), ""]
        parts += [*_limits(rows)]
    parts += ["", "## Memory: the most a process held, in MB", "", *_memory(record)]
    parts += [
        "",
        "## Start: seconds from `python` to the end of the first step",
        "",
        *_start(record),
    ]
    parts += ["", "## What stands in the way of goals that were missed", "", *_gaps(record)]
    return "\n".join(parts) + "\n"


def ratio(row: Row, other: str) -> float:
    """Return bpgen's time of a step as a multiple of another's."""
    own, theirs = (row.results[name].times(row.threads) for name in ("bpgen", other))
    return relative(own, theirs)


def relative(own: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median over rounds of one time as a multiple of the other."""
    return median(a / b for a, b in zip(own, theirs, strict=True))


def missed(row: Row) -> bool:
    """Say whether a goal of the row is missed."""
    return any(ratio(row, goal.of) > bound for goal, bound in _bounds(row))


def _bounds(row: Row) -> Iterator[tuple[Goal, float]]:
    for goal in WORKLOADS[row.workload].goals:
        if goal.of in row.results:
            yield goal, goal.bounds[row.threads]


def _goals(record: Record) -> Iterator[str]:
    yield "| workload | threads | bpgen / | ratio | goal | | by the clock |"
    yield "| --- | ---: | --- | ---: | ---: | --- | ---: |"
    for row in record.rows:
        for goal, bound in _bounds(row):
            found = ratio(row, goal.of)
            verdict = "met" if found <= bound else "**missed**"
            title = WORKLOADS[row.workload].title
            waited = relative(row.results["bpgen"].seconds, row.results[goal.of].seconds)
            figures = f"{found:.2f} | {bound:.2f} | {verdict} | {waited:.2f}"
            yield f"| {title} | {row.threads} | {TITLES[goal.of]} | {figures} |"


def _times(rows: Sequence[Row]) -> Iterator[str]:
    yield _line("workload", *TITLES.values(), "× PyTorch", "× JAX")
    yield _line("---", *["---:"] * (len(TITLES) + 2))
    for row in rows:
        ratios = (f"{ratio(row, o):.2f}" if o in row.results else "" for o in ("torch", "jax"))
        yield _line(
            WORKLOADS[row.workload].title, *_each(row, partial(_spread, row.threads)), *ratios
        )


def _memory(record: Record) -> Iterator[str]:
    yield _line("workload", "threads", *TITLES.values(), "of PyTorch's", "goal ¼")
    yield _line("---", *["---:"] * (len(TITLES) + 2), "---")
    for row in record.rows:
        cells = _each(row, lambda result: f"{result.peak / 1e6:.0f}")
        yield _compared(row, cells, lambda result: result.peak, MEMORY)


def _start(record: Record) -> Iterator[str]:
    emit = "`bpgen emit`, once"
    yield _line("workload", "threads", *TITLES.values(), "of PyTorch's", "goal 1/10", emit)
    yield _line("---", *["---:"] * (len(TITLES) + 2), "---", "---:")
    for row in record.rows:
        cells = _each(row, lambda result: f"{result.start:.2f}")
        compared = _compared(row, cells, lambda result: result.start, START)
        yield f"{compared} {row.emit:.1f} |"


def _compared(
    row: Row, cells: Sequence[str], figure: Callable[[Result], float], goal: float
) -> str:
    """Return a line of figures, bpgen's as a share of PyTorch's, and whether that is the goal."""
    title = WORKLOADS[row.workload].title
    share = figure(row.results["bpgen"]) / figure(row.results["torch"])
    verdict = "met" if share <= goal else "**missed**"
    return _line(title, str(row.threads), *cells, f"{share:.2f}", verdict)


def _limits(rows: Sequence[Row]) -> Iterator[str]:
    flops = max((row.limits.flops for row in rows), default=0) / 1e9
    bandwidth = max((row.limits.bytes for row in rows), default=0) / 1e9
    call = min((row.limits.call for row in rows), default=0) * 1e6
    yield (
        f"Measured beside: products of float32 at up to {flops:.0f} GFLOP/s, copies in memory at "
        f"up to {bandwidth:.1f} GB/s, a call of numpy in {call:.2f} µs."
    )


def _gaps(record: Record) -> Iterator[str]:
    yield (
        "The statements that take the most time of the emitted module's step: their share, and "
        "their time as a multiple of the least that was measured to be possible: multiply-adds at "
        "the rate of a large product, or each tensor once through memory, and for each call of "
        "numpy what one takes that adds two numbers. A multiple below 1 means that the caches "
        "served it."
    )
    for row in record.rows:
        if missed(row):
            yield from ("", f"### {WORKLOADS[row.workload].title}, {_count(row.threads)}", "")
            yield from ("| statement | share | × the least |", "| --- | ---: | ---: |")
            for gap in row.gaps:
                multiple = f"{gap.multiple:.1f}" if gap.multiple else ""
                yield f"| `{gap.formula}` | {gap.share:.0%} | {multiple} |"


def _each(row: Row, shown: Callable[[Result], str]) -> list[str]:
    return [shown(row.results[name]) if name in row.results else "" for name in TITLES]


def _spread(threads: int, result: Result) -> str:
    low, middle, high = (1e3 * second for second in quantiles(result.times(threads), n=4))
    digits = max(0, 2 - int(f"{middle:e}".split("e")[1]))
    return f"{middle:.{digits}f} ({low:.{digits}f} – {high:.{digits}f})"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _count(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"

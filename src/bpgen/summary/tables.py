"""What a training step costs, as a table: statement by statement, and in all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from bpgen.emit.budget import written
from bpgen.ir.program import Program
from bpgen.lower import in_memory
from bpgen.summary.kernels import kernels, memory
from bpgen.summary.rows import Row, rows

if TYPE_CHECKING:
    from rich.table import Table


COLUMNS = ("shape", "params", "mult-adds", "bytes", "per byte", "saved", "share")
ESSENTIAL = ("mult-adds", "bytes", "share")
NARROW = 120
EINSUM = "np.einsum("


def as_json(program: Program, batch: int) -> dict[str, Any]:
    """Return the costs as a document; `share` is that of the step."""
    costs, code = rows(in_memory(program), batch), written(program)
    held, loops = code.training(), code.written.calling(EINSUM)
    whole = sum(row.seconds for row in costs)
    return {
        "batch": batch,
        "statements": [
            {
                **asdict(row),
                "share": row.seconds / whole,
                "einsum": (row.function, row.name) in loops,
            }
            for row in costs
        ],
        **{name: total for name, total in _totals(costs).items() if name != "share"},
        "seconds": whole,
        "workspace": {
            "bytes": held.bytes(batch),
            "bound": held.bound(batch),
            "unshared": held.unshared(batch),
        },
    }


def table(program: Program, batch: int, width: int) -> Table:
    """Return the costs as a table, one part for each function, with the sums in the last line.

    In less than `NARROW` columns some are left out, so that formulas have room.
    """
    costs, code = rows(in_memory(program), batch), written(program)
    held, loops = code.training(), code.written.calling(EINSUM)
    whole, totals = sum(row.seconds for row in costs), _totals(costs)
    titles = [t for t in COLUMNS if width >= NARROW or t in ESSENTIAL]
    result = _empty(
        f"A step on {batch} examples, in float32: {totals['parameters']:,} parameters, "
        f"{totals['multiply-adds']:,} multiply-adds; {_short(totals['saved'], 'B')} are saved for "
        f"the gradient. The workspace takes {held.bytes(batch):,} bytes; {held.bound(batch):,} are "
        f"needed at once, and each buffer apart would take {held.unshared(batch):,}. Per byte: "
        "multiply-adds. Shares of the time are foretold, by rates of one core. ×2: in two turns. "
        "(einsum): by a plain loop, since it is no product of matrices."
    )
    result.show_footer = True
    footer = {**_counts(totals), "share": "100%"}
    for title in titles:
        result.add_column(title, footer.get(title, ""), justify="right", no_wrap=True)
    for function, group in groupby(costs, key=lambda row: row.function):
        part = list(group)
        share = f"{sum(row.seconds for row in part) / whole:.0%}"
        result.add_row(function, *([""] * (len(titles) - 1)), share, style="bold")
        for row in part:
            cells = {**_cells(row), "share": f"{row.seconds / whole:.1%}"}
            turns = f" ×{row.turns}" if row.turns > 1 else ""
            loop = " (einsum)" if (row.function, row.name) in loops else ""
            result.add_row(row.formula + turns + loop, *(cells[title] for title in titles))
        result.add_section()
    return result


def device_as_json(program: Program, batch: int) -> dict[str, Any]:
    """Return what the module for a GPU allocates and launches, as a document."""
    launches = [asdict(row) for row in kernels(program, batch)]
    return {"batch": batch, "memory": memory(program, batch), "launches": launches}


def device_table(program: Program, batch: int) -> Table:
    """Return the launches of a step on a GPU as a table, and under it the memory there."""
    held, launches = memory(program, batch), kernels(program, batch)
    parts = ", ".join(f"{_short(size, 'B')} of {what}" for what, size in held.items() if size)
    result = _empty(
        f"A step on {batch} examples, in float32: {len(launches)} launches. The module allocates "
        f"{sum(held.values()):,} bytes on the device: {parts}. ×2: in two turns."
    )
    for title in ("mult-adds", "bytes", "per byte"):
        result.add_column(title, justify="right", no_wrap=True)
    for function, group in groupby(launches, key=lambda row: row.function):
        result.add_row(function, style="bold")
        for row in group:
            turns = f" ×{row.turns}" if row.turns > 1 else ""
            intensity = row.multiply_adds / max(1, row.bytes)
            per_byte = f"{intensity:.2g}" if intensity else ""
            counts = _short(row.multiply_adds), _short(row.bytes, "B"), per_byte
            result.add_row("\n".join(row.formulas) + turns, *counts)
        result.add_section()
    return result


def compared(costs: Iterable[Row], measured: Mapping[tuple[str, str], float]) -> Table:
    """Return a table of where the time of a step goes: as measured, and as foretold."""
    known = {row.place: row for row in costs}
    foretold, whole = sum(row.seconds for row in known.values()), sum(measured.values())
    result = _empty(
        "A step in one thread, the longest formulas first: measured, and as `summary` foretells."
    )
    for title in ("µs", "measured", "foretold"):
        result.add_column(title, justify="right", no_wrap=True)
    for place in sorted(measured, key=lambda place: -measured[place]):
        if place in known:
            share = f"{known[place].seconds / foretold:.1%}"
            seconds = measured[place]
            result.add_row(place[1], f"{seconds * 1e6:,.0f}", f"{seconds / whole:.1%}", share)
    return result


def _empty(caption: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    result = Table(box=SIMPLE_HEAD, caption=caption, caption_justify="left")
    result.add_column("formula", overflow="fold", ratio=1)
    return result


def _cells(row: Row) -> dict[str, str]:
    """Return a row by the titles of columns, without its share of the step."""
    counts = {
        "parameters": row.parameters,
        "multiply-adds": row.multiply_adds,
        "bytes": row.bytes,
        "saved": row.saved,
    }
    return {"shape": "×".join(map(str, row.shape)), **_counts(counts)}


def _totals(costs: Sequence[Row]) -> dict[str, int]:
    return {
        "parameters": sum(row.parameters for row in costs),
        "multiply-adds": sum(row.multiply_adds for row in costs),
        "bytes": sum(row.bytes for row in costs),
        "saved": sum(row.saved for row in costs),
    }


def _counts(counts: Mapping[str, int]) -> dict[str, str]:
    """Return the columns of numbers; the arithmetic intensity is multiply-adds per byte."""
    intensity = counts["multiply-adds"] / max(1, counts["bytes"])
    return {
        "params": _short(counts["parameters"]),
        "mult-adds": _short(counts["multiply-adds"]),
        "bytes": _short(counts["bytes"], "B"),
        "per byte": f"{intensity:.2g}" if intensity else "",
        "saved": _short(counts["saved"], "B"),
    }


def _short(number: float, unit: str = "") -> str:
    """Return a number with three digits: `2.05k`, `16.8M`; nothing for 0."""
    if not number:
        return ""
    for prefix in ("", "k", "M", "G", "T"):
        if number < 999.5:
            digits = 0 if not prefix else 2 if number < 9.995 else 1 if number < 99.95 else 0
            return f"{number:.{digits}f}{prefix}{unit}"
        number /= 1000
    return f"{number:.0f}P{unit}"

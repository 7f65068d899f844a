"""What a training step costs, as a table: statement by statement, and in all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from bpgen.emit.budget import said_of_bound, written
from bpgen.emit.workspaces import Workspaces
from bpgen.ir.program import Program
from bpgen.lower import in_memory
from bpgen.summary.kernels import kernels, memory, workspace
from bpgen.summary.rows import Row, rows

if TYPE_CHECKING:
    from rich.table import Table


COLUMNS = ("shape", "params", "mult-adds", "bytes", "per byte", "saved", "share")
ESSENTIAL = ("mult-adds", "bytes", "share")
NARROW = 120
EINSUM = "np.einsum("


def as_json(program: Program, batch: int) -> dict[str, Any]:
    """Return the costs as a document; `share` is that of the step."""
    program = replace(program, batch=batch)
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
    program = replace(program, batch=batch)
    costs, code = rows(in_memory(program), batch), written(program)
    loops = code.written.calling(EINSUM)
    whole, totals = sum(row.seconds for row in costs), _totals(costs)
    titles = [t for t in COLUMNS if width >= NARROW or t in ESSENTIAL]
    result = _empty(_caption(program, batch, costs, code, titles))
    result.show_footer = True
    result.columns[0].footer = "in all"
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
            again = " (again)" if row.function == "backward" and row.name in program.again else ""
            result.add_row(row.formula + turns + loop + again, *(cells[title] for title in titles))
        result.add_section()
    return result


def _caption(
    program: Program, batch: int, costs: Sequence[Row], code: Workspaces, titles: Sequence[str]
) -> str:
    """Return what stands below the table: the totals in words, and what its words mean."""
    held, totals = code.training(), _totals(costs)
    notes = {
        "saved": "saved: what the forward pass keeps for the gradient.",
        "per byte": "per byte: multiply-adds for each byte that is read or written.",
        "share": "share: of the time of a step, foretold by the rates of one core.",
    }
    marks = {
        "×2: in two turns of a loop.": any(row.turns > 1 for row in costs),
        "(einsum): a plain loop, since it is no product of matrices.": code.written.calling(EINSUM),
        "(again): computed a second time, so that it need not be saved.": program.again,
    }
    step = (
        f"A step on {batch} examples, in float32: {totals['parameters']:,} parameters, "
        f"{totals['multiply-adds']:,} multiply-adds."
    )
    space = (
        f"Its workspace takes {held.bytes(batch):,} bytes: {held.bound(batch):,} are needed at "
        f"once, and {held.unshared(batch):,} would be if no buffers shared memory. "
        f"{totals['saved']:,} are saved for the gradient."
    )
    columns = " ".join(note for title, note in notes.items() if title in titles)
    marked = " ".join(mark for mark, is_there in marks.items() if is_there)
    return "\n".join(filter(None, (step, space, said_of_bound(program), columns, marked)))


def device_as_json(program: Program, batch: int, precision: str) -> dict[str, Any]:
    """Return what the module for a GPU allocates and launches, as a document."""
    launches = [asdict(row) for row in kernels(program, batch, precision)]
    shared = workspace(program, precision)
    return {
        "batch": batch,
        "memory": memory(program, batch, precision),
        "workspace": {
            "bytes": shared.bytes(batch),
            "bound": shared.bound(batch),
            "unshared": shared.unshared(batch),
        },
        "launches": launches,
    }


def device_table(program: Program, batch: int, precision: str) -> Table:
    """Return the launches of a step on a GPU as a table, and under it the memory there."""
    held, launches = memory(program, batch, precision), kernels(program, batch, precision)
    shared = workspace(program, precision)
    parts = ", ".join(f"{_short(size, 'B')} for {what}" for what, size in held.items() if size)
    result = _empty(
        f"A step on {batch} examples, in {precision}: {len(launches)} launches. The module "
        f"allocates {sum(held.values()):,} bytes on the device: {parts}. Of the workspace "
        f"{_short(shared.bound(batch), 'B')} are needed at once, and each buffer apart would take "
        f"{_short(shared.unshared(batch), 'B')}. ×2: in two turns."
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

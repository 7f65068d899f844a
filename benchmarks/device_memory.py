"""What a step of the CuPy modules takes on a GPU besides parameters, foretold; no GPU is needed.

Each buffer apart and for every turn of a loop; one of each for all turns; buffers in one memory, by
the times at which they are needed; and what is needed at the worst time, below which none can be.

    python benchmarks/device_memory.py            prints the table
    python benchmarks/device_memory.py -o FILE    writes it
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import bpgen as bp
from bpgen.declare.load import zoo
from bpgen.ir.program import Program
from bpgen.lower.workspace import Buffer, Workspace
from bpgen.summary import workspace

WORKLOADS = Path(__file__).parent / "workloads"
LARGE = {"GPT-2, 124 million parameters": WORKLOADS / "gpt2.py"}
ROWS, LARGE_ROWS = (64,), (16, 64)
MEGA = 10**6


def main() -> None:
    """Report on all models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path)
    output = parser.parse_args().output
    text = "\n".join(report()) + "\n"
    if output:
        output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


def report() -> Iterator[str]:
    """Yield the lines of the table."""
    yield "# Memory of a step on a GPU"
    yield ""
    yield "Megabytes in float32, besides parameters, gradient, optimizer and batch. Written by"
    yield "`make kernels`; needs no GPU."
    yield ""
    yield "| model | batch | each apart, each turn | each apart | shared | needed at once |"
    yield "| --- |" + " ---: |" * 5
    for name, path, batches in [
        *((name, name, ROWS) for name in zoo()),
        *((name, path, LARGE_ROWS) for name, path in LARGE.items()),
    ]:
        program = bp.load(path).program()
        held = workspace(program)
        yield from (row(name, program, held, batch) for batch in batches)


def row(name: str, program: Program, held: Workspace, batch: int) -> str:
    """Return a row of the table."""
    sizes = apart(program, held, batch), held.unshared(batch), held.bytes(batch), held.bound(batch)
    return f"| {name} | {batch} | {' | '.join(map(megabytes, sizes))} |"


def megabytes(size: int) -> str:
    """Return a size with three digits, or all before the point."""
    return f"{size / MEGA:,.0f}" if size > 100 * MEGA else f"{size / MEGA:.3g}"


def apart(program: Program, held: Workspace, batch: int) -> int:
    """Return the bytes of all buffers with the axes of their formulas."""
    total = held.unshared(batch)
    for name, rows in held.rows.items():
        if name in program.tensors:
            whole = Buffer(name, program.tensors[name].indices, "float", ())
            total += whole.piece(()).bytes(whole.rows(()), batch)
            total -= rows.piece.bytes(rows.count, batch)
    return total


if __name__ == "__main__":
    main()

"""What every emitted kernel needs of a GPU, by NVIDIA's compiler; no GPU is needed.

Registers a thread for each kind of GPU, bytes that spill from registers, bytes of shared memory of
a block, and how many loads and stores move 16 bytes.

    python benchmarks/kernels.py            prints the tables
    python benchmarks/kernels.py -o FILE    writes them
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bpgen as bp
from bpgen.declare.load import zoo
from bpgen.device.nvrtc import ARCHITECTURES, Usage, assembly, kernels_of, usage, wide_moves


@dataclass(frozen=True, slots=True)
class Row:
    """A kernel: what it needs on each kind of GPU, and its wide loads and stores."""

    name: str
    needs: tuple[Usage, ...]
    wide: int

    def __str__(self) -> str:
        """Return a row of a table."""
        registers = " | ".join(str(needs.registers) for needs in self.needs)
        spills = max(needs.spills for needs in self.needs)
        return f"| `{self.name}` | {registers} | {spills} | {self.needs[0].shared} | {self.wide} |"


def main() -> None:
    """Compile the kernels of all models and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path)
    output = parser.parse_args().output
    tables = {name: rows(name) for name in zoo()}
    text = "\n".join(report(tables)) + "\n"
    if output:
        output.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


def rows(model: str) -> list[Row]:
    """Return the kernels of a model in float32."""
    source, names = kernels_of(bp.load(model).source("cupy"))
    found = [usage(source, "float", architecture) for architecture in ARCHITECTURES]
    ptx = assembly(source, "float")
    return [Row(name, tuple(of[name] for of in found), wide_moves(ptx[name])) for name in names]


def report(tables: dict[str, list[Row]]) -> Iterator[str]:
    """Yield the lines of the report, what is worst first."""
    every = [row for table in tables.values() for row in table]
    kinds = ", ".join(f"sm_{architecture}" for architecture in ARCHITECTURES)
    most = max(needs.registers for row in every for needs in row.needs)
    spills = sum(needs.spills for row in every for needs in row.needs)
    yield "# Kernels of the zoo, as NVRTC compiles them"
    yield ""
    yield f"{len(every)} kernels of {len(tables)} models in float32, for {kinds}: at most {most}"
    yield f"registers a thread, {spills} bytes spilled. Written by `make kernels`; needs no GPU."
    for model, table in tables.items():
        yield ""
        yield f"## {model}"
        yield ""
        heads = " | ".join(f"sm_{architecture}" for architecture in ARCHITECTURES)
        yield f"| kernel | {heads} | spilled | shared | 16-byte moves |"
        yield "| --- |" + " ---: |" * (len(ARCHITECTURES) + 3)
        yield from map(str, table)


if __name__ == "__main__":
    main()

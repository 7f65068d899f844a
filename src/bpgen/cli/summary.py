"""The command `bpgen summary`."""

from __future__ import annotations

import json

import click

from bpgen.cli.options import PRECISION, TARGET, amount, console, model_argument


@click.command()
@model_argument
@click.option("--target", type=TARGET, default="numpy", show_default=True)
@click.option("--precision", type=PRECISION, default="fp32", help="Of a module for a GPU.")
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True)
@click.option("--memory", type=amount, metavar="BYTES", help="Most for a step; costs time.")
@click.option("--json", "as_json", is_flag=True, help="Print exact numbers as JSON.")
def summary(
    model: str, target: str, precision: str, batch: int, memory: int | None, *, as_json: bool
) -> None:
    """Print what each statement of a step costs: multiply-adds, bytes, its share of the time.

    Below stands the workspace that it computes in. With --memory: what is computed again so that a
    step keeps within it. With --target cupy: what each kernel computes and moves, and the memory on
    the device.
    """
    from bpgen import summary as room
    from bpgen.emit import bounded
    from bpgen.ir.program import Bound
    from bpgen.model import load

    if target != "cupy" and precision != "fp32":
        raise click.UsageError("--precision is that of a module for a GPU: give --target cupy.")
    program, terminal = load(model).program(), console()
    if memory is not None:
        program = bounded(program, target, Bound(memory, batch))
    if target == "cupy":
        found = room.device_as_json(program, batch, precision) if as_json else {}
        shown = room.device_table(program, batch, precision)
    else:
        found = room.as_json(program, batch) if as_json else {}
        shown = room.table(program, batch, terminal.width)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        terminal.print(shown)

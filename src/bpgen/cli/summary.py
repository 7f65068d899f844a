"""The command `bpgen summary`."""

from __future__ import annotations

import json

import click

from bpgen.cli.options import console, model_argument


@click.command()
@model_argument
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print exact numbers as JSON.")
def summary(model: str, batch: int, *, as_json: bool) -> None:
    """Print what each statement of a step costs: multiply-adds, bytes, its share of the time."""
    from bpgen import summary as room
    from bpgen.model import load

    loaded = load(model)
    costs = room.costs(loaded.derive().derivation, loaded.optimizer, batch)
    if as_json:
        click.echo(json.dumps(room.as_json(costs, batch), indent=2, ensure_ascii=False))
    else:
        terminal = console()
        terminal.print(room.table(costs, batch, terminal.width))

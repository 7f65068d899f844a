"""The command `bpgen train`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bpgen.cli.options import (
    BATCH,
    INTERRUPTED,
    SEED,
    amount,
    console,
    model_argument,
    output_option,
)

if TYPE_CHECKING:
    from rich.console import Console

    from bpgen.execute.run import Run
    from bpgen.execute.train import Outcome
    from bpgen.training import Plan

_DATA = (
    "A data set that ships (digits, topics, …), an .npz, a .csv, a folder of .npy files, or "
    "input=file.npy, repeated; what the model names if left out."
)


@click.command()
@model_argument
@click.option("--data", multiple=True, metavar="DATA", help=_DATA)
@click.option("--label", multiple=True, metavar="COLUMN", help="Column of a .csv; may be repeated.")
@click.option("--epochs", type=click.IntRange(1), help="As many as the model says, or 20.")
@click.option("--batch", type=BATCH, default=64, show_default=True)
@click.option("--memory", type=amount, metavar="BYTES", help="Most for a step; costs time.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@output_option("FOLDER")
@click.option("--threads", type=click.IntRange(1), default=1, help="Share each batch among them.")
@click.option("--profile", is_flag=True, help="Say where the time of a step goes, too.")
@click.option("--resume", is_flag=True, help="Go on from FOLDER/last.npz, with its batch and seed.")
@click.option("--all", "whole_zoo", is_flag=True, help="Train every zoo model on its own data.")
def train(
    model: str, output: Path | None, *, whole_zoo: bool, profile: bool, **options: Any
) -> None:
    """Derive, check, emit, then train by the emitted module.

    FOLDER (runs/<model> by default) receives the derivation, the emitted module, the checkpoints
    last.npz and best.npz, the log, the curve and, of some zoo models, a picture of what is learned.
    """
    from bpgen.declare.load import zoo

    if whole_zoo and (options["data"] or profile):
        raise click.UsageError("--all trains each model on its own; leave out --data, --profile.")
    if not whole_zoo:
        outcome, run = _trained(model, output, options, console(stderr=True))
        click.echo(f"test {outcome}")
        for what, path in run.parts().items():
            click.echo(f"  {what:10}  {path}")
        if profile:
            _print_profile(model, run, options["data"], options["label"])
        return
    for name in zoo():
        click.echo(f"{name:24}  ", nl=False)
        outcome, run = _trained(name, output and output / name, options, console(quiet=True))
        click.echo(f"test {outcome}  {run.picture if outcome.shown else run.curve}")


def _trained(
    name: str, output: Path | None, options: dict[str, Any], console: Console
) -> tuple[Outcome, Run]:
    """Train a model, and return how that ended and where it lies."""
    from bpgen.execute.run import Run
    from bpgen.model import load
    from bpgen.training import planned
    from bpgen.training import train as train_model

    loaded = load(name)
    if not options["data"] and loaded.data is None:
        raise click.UsageError("the model names no data set; give one: --data DATA.")
    plan = planned(loaded, output or Path("runs") / loaded.network.name, **options)
    outcome = train_model(loaded, plan, console)
    if outcome.test is None:
        click.echo(f"Interrupted. Continue: {_again(name, plan)}", err=True)
        sys.exit(INTERRUPTED)
    return outcome, Run(plan.folder, loaded.network.name)


def _print_profile(name: str, run: Run, data: tuple[str, ...], label: tuple[str, ...]) -> None:
    """Print where the time of a step goes, on the first rows of the data."""
    from bpgen.lower import in_memory
    from bpgen.model import load
    from bpgen.summary import compared, rows
    from bpgen.training import profiled

    model = load(name)
    batch, measured = profiled(model, run, data, label)
    foretold = rows(in_memory(replace(model.program(), batch=batch)), batch)
    console().print(compared(foretold, measured))


def _again(model: str, plan: Plan) -> str:
    """Return the command that continues the run."""
    words = ["bpgen", "train", model]
    words += [word for source in plan.data for word in ("--data", source)]
    words += [word for column in plan.label for word in ("--label", column)]
    words += ["--epochs", str(plan.epochs), "--batch", str(plan.batch), "--seed", str(plan.seed)]
    words += ["--threads", str(plan.threads)] if plan.threads > 1 else []
    words += ["-o", str(plan.folder), "--resume"]
    return shlex.join(words)

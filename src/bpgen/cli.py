"""The command line: each command loads a model and hands it to the rooms below.

stdout is data, stderr is messages. What a command needs is imported when it runs, so that
`--help` is quick.
"""

from __future__ import annotations

import errno
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bpgen.errors import BpgenError, FileError, MissingPackageError, UnknownNameError, nearest

if TYPE_CHECKING:
    from rich.console import Console

    from bpgen.training import Plan

FORMATS = ("text", "latex", "markdown", "html", "json")
TARGETS = ("numpy", "cupy")
STATUS = {"VERIFIED": 0, "REFUTED": 1, "UNDECIDED": 4}
INTERRUPTED = 130
CLOSED = 141  # what a shell reports of a program whose reader went away

_DATA = (
    "digits, wine, diabetes, an .npz, a .csv, a folder of .npy files, or input=file.npy, repeated."
)
_EXAMPLES = """\b
Examples:
  bpgen derive digits_mlp --wrt fc1_W --steps
  bpgen check digits_mlp
  bpgen emit digits_mlp --target numpy
  bpgen train digits_mlp --data digits

\b
MODEL is a file or the name of a zoo model; without it, model.py is read.
Exit status: 0 fine, 1 refuted or stale, 2 usage, 3 wrong declaration, 4 undecided,
5 wrong data or checkpoint, 6 not finite, 7 file system, 8 environment, 130 interrupted.
"""


class Commands(click.Group):
    """A group of commands that turns a mistake into a message and the exit status of its kind."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; show a mistake as its facts, without a traceback."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            mistake = _mistake(error)
            if mistake is None or ctx.params["traceback"]:
                raise
            click.echo(str(mistake), err=True)
            ctx.exit(mistake.exit_status)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


def _mistake(error: Exception) -> BpgenError | None:
    """Return what `error` means to a user, or None if it is a bug in bpgen."""
    match error:
        case BpgenError():
            return error
        case OSError(errno=errno.EPIPE):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(CLOSED)
        case OSError(filename=name) if name is not None:
            return FileError(f"{name}: {error.strerror}", way_out="Choose another path.")
        case ModuleNotFoundError(name=name):
            return MissingPackageError(f"{name} is not installed", way_out=f"pip install {name}")
        case _:
            return None


@click.group(cls=Commands, epilog=_EXAMPLES)
@click.version_option(package_name="bpgen")
@click.option("--traceback", is_flag=True, help="Show the Python traceback of a mistake.")
def main(*, traceback: bool) -> None:
    """Derive, prove and emit the gradients of a network from its forward formulas alone."""
    del traceback  # `Commands.invoke` reads it


def model_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the argument MODEL."""
    return click.argument("model", default="model.py")(command)


def seed_option(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the option --seed."""
    kind = click.IntRange(0, 2**63 - 1)
    return click.option("--seed", type=kind, default=0, show_default=True)(command)


def output_option(kind: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command the option -o, of metavar `kind`."""
    path = click.Path(path_type=Path)
    return click.option("-o", "--output", type=path, metavar=kind, help=f"Write to this {kind}.")


@main.command()
@click.argument("name")
def new(name: str) -> None:
    """Write a model.py to start from: a copy of the zoo model NAME, or digits_mlp as NAME."""
    from bpgen.start import starter

    path = Path("model.py")
    with path.open("x", encoding="utf-8") as file:
        file.write(starter(name))
    click.echo(
        f"Wrote {path}. Next: bpgen derive, bpgen check, bpgen train --data digits", err=True
    )


@main.command()
@model_argument
@click.option("--wrt", metavar="NAME", help="Only what leads to ∂L/∂NAME.")
@click.option("--steps", is_flag=True, help="Show each application of the chain rule.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@output_option("FILE")
def derive(model: str, wrt: str | None, form: str, output: Path | None, *, steps: bool) -> None:
    """Print the forward equations and the gradient of everything."""
    from bpgen.derive.report import render
    from bpgen.model import load

    derivation = load(model).derive()
    if wrt is not None and wrt not in derivation.adjoints:
        raise UnknownNameError(
            f"there is no ∂L/∂{wrt}",
            disagree=f"{model} differentiates with respect to {len(derivation.adjoints)} tensors",
            way_out=nearest(wrt, derivation.adjoints),
        )
    _deliver(render(derivation, format=form, wrt=wrt, steps=steps), output)


@main.command()
@model_argument
@seed_option
@click.option("--against", type=click.Choice(["torch", "jax"]), help="Compare with a framework.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
def check(model: str, seed: int, against: str | None, *, as_json: bool) -> None:
    """Verify the gradients and print the verdict with the Taylor table."""
    from bpgen.model import load

    if against is not None:
        raise click.UsageError(f"--against {against} is not part of this version; leave it out.")
    verdict = load(model).check(seed=seed)
    click.echo(verdict.to_json() if as_json else str(verdict))
    sys.exit(STATUS[verdict.verdict])


@main.command()
@model_argument
@click.option("--data", multiple=True, required=True, metavar="DATA", help=_DATA)
@click.option("--label", multiple=True, metavar="COLUMN", help="Column of a .csv; may be repeated.")
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True)
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True)
@seed_option
@output_option("FOLDER")
@click.option("--resume", is_flag=True, help="Continue from the checkpoint in FOLDER.")
def train(model: str, output: Path | None, **options: Any) -> None:
    """Derive, check, emit, then train by the emitted module.

    FOLDER (runs/<model> by default) receives the derivation, the emitted module, the checkpoints
    last.npz and best.npz, the log and the curve.
    """
    from bpgen.model import load
    from bpgen.training import Plan
    from bpgen.training import train as train_model

    loaded = load(model)
    plan = Plan(**options, folder=output or Path("runs") / loaded.network.name)
    outcome = train_model(loaded, plan, _console(stderr=True))
    if outcome.test is None:
        click.echo(f"Interrupted. Continue: {_again(model, plan)}", err=True)
        sys.exit(INTERRUPTED)
    click.echo(f"test {outcome.test}")
    for file in sorted(plan.folder.iterdir()):
        click.echo(f"  {file}")


def _again(model: str, plan: Plan) -> str:
    """Return the command that continues the run."""
    words = ["bpgen", "train", model]
    words += [word for source in plan.data for word in ("--data", source)]
    words += [word for column in plan.label for word in ("--label", column)]
    words += ["--epochs", str(plan.epochs), "-o", str(plan.folder), "--resume"]
    return shlex.join(words)


@main.command()
@model_argument
def summary(model: str) -> None:
    """Print shapes, parameters, multiply-adds, bytes and saved activations of each equation."""
    from bpgen.model import load
    from bpgen.summary import table

    _console().print(table(load(model).derive()))


@main.command()
@click.argument("code")
def explain(code: str) -> None:
    """Print the long form of an error CODE such as BPG101."""
    from bpgen.explain import explain as long_form

    click.echo(long_form(code))


def _deliver(text: str, path: Path | None) -> None:
    """Print `text`, or write it to `path`."""
    if path is None:
        click.echo(text, nl=not text.endswith("\n"))
        return
    from bpgen.emit.files import write

    write(path, text)
    click.echo(f"Wrote {path}", err=True)


def _console(*, stderr: bool = False) -> Console:
    """Return the terminal; what is not one is wide enough for every table."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else 160)

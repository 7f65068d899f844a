"""The command line: each command loads a model and hands it to the rooms below.

stdout is data, stderr is messages. What a command needs is imported when it runs, so that
`--help` is quick.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any

import click

from bpgen.cli.options import (
    BATCH,
    DTYPE,
    EXTRAS,
    FORMAT,
    INTERRUPTED,
    JET,
    PRECISION,
    SEED,
    TARGET,
    amount,
    console,
    model_argument,
    output_option,
)
from bpgen.cli.summary import summary
from bpgen.cli.train import train
from bpgen.errors import BpgenError, FileError, MissingPackageError, StaleError

STATUS = {"VERIFIED": 0, "REFUTED": 1, "UNDECIDED": 4}
READ = click.Path(exists=True, dir_okay=False, path_type=Path)
CLOSED = 141  # what a shell reports of a program whose reader went away

_EXAMPLES = """\b
Examples:
  bpgen derive digits_mlp --wrt fc1_W --steps
  bpgen check digits_mlp
  bpgen train digits_mlp --data digits
  bpgen train --all

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
        case OSError(filename=name):
            what = f"{name or 'a file'}: {error.strerror or error}"
            return FileError(what, way_out="Choose another path.")
        case ModuleNotFoundError(name=str(name)) if not name.startswith("bpgen"):
            return MissingPackageError(f"{name} is not installed", way_out=f"pip install {name}")
        case _:
            return None


@click.group(cls=Commands, epilog=_EXAMPLES)
@click.version_option(package_name="bpgen")
@click.option("--traceback", is_flag=True, help="Show the Python traceback of a mistake.")
def main(*, traceback: bool) -> None:
    """Derive, prove and emit the gradients of a network from its forward formulas alone."""
    del traceback  # `Commands.invoke` reads it
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ∂ shows ? for it


@main.command()
@click.argument("name")
def new(name: str) -> None:
    """Write a model.py to start from: a copy of the zoo model NAME, or digits_mlp as NAME."""
    from bpgen.start import starter

    path = Path("model.py")
    with path.open("x", encoding="utf-8") as file:
        file.write(starter(name))
    click.echo(f"Wrote {path}. Next: bpgen derive, bpgen check, bpgen train", err=True)


@main.command()
@model_argument
@click.option("--wrt", metavar="NAME", help="Only what leads to ∂L/∂NAME.")
@click.option("--steps", is_flag=True, help="Show each rewriting of each contribution.")
@click.option("--second", is_flag=True, help="Go on to products with the Hessian.")
@click.option("--format", "form", type=FORMAT, default="text", show_default=True)
@output_option("FILE")
def derive(model: str, wrt: str | None, form: str, output: Path | None, **shown: bool) -> None:
    """Print the forward equations and the gradient of everything."""
    from bpgen.emit.files import write
    from bpgen.model import load

    text = load(model).derive().render(form, wrt=wrt, **shown)
    if output is None:
        click.echo(text, nl=not text.endswith("\n"))
    else:
        write(output, text)
        click.echo(f"Wrote {output}", err=True)


@main.command()
@model_argument
@click.option("--target", type=TARGET, default="numpy", show_default=True)
@click.option("--seed", type=SEED, help="Repeat a check; without it points are drawn anew.")
@click.option("--against", type=click.Choice(["torch", "jax"]), help="Compare with a framework.")
@click.option("--second", is_flag=True, help="Verify second derivatives, too.")
@click.option("--jet", metavar="K", default=0, type=JET, help="Taylor coefficients up to t^K.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON: a certificate.")
@click.option("--sweep", is_flag=True, help="Show error against step; with -o as SVG too.")
@click.option("--module", type=READ, metavar="FILE", help="Check this emitted file of MODEL.")
@click.option("--certificate", type=READ, metavar="FILE", help="Check the file MODEL against it.")
@output_option("FILE")
def check(model: str, **options: Any) -> None:
    """Verify the gradients and print the verdict with the Taylor table.

    With --certificate, MODEL is an emitted module, and no declaration is needed.
    """
    from bpgen.checking import checked

    verdict, text = checked(model, console(stderr=True), **options)
    click.echo(text)
    sys.exit(STATUS[verdict])


@main.command()
@model_argument
@click.option("--target", type=TARGET, default="numpy", show_default=True)
@click.option("--dtype", type=DTYPE, default="float32", show_default=True)
@click.option(
    "--precision", type=PRECISION, default="fp32", help="Of products on a GPU; bf16 is stored."
)
@click.option("--with", "extras", type=EXTRAS, multiple=True, help="hvp: Hessian times vector.")
@click.option("--memory", type=amount, metavar="BYTES", help="Most for a step; costs time.")
@click.option("--batch", type=BATCH, default=64, show_default=True, help="Examples of a step.")
@output_option("FILE")
@click.option("--check", "fresh", is_flag=True, help="Write nothing; show what is out of date.")
@click.option("--all", "whole_zoo", is_flag=True, help="Emit every zoo model for every target.")
def emit(
    model: str, target: str, output: Path | None, *, fresh: bool, whole_zoo: bool, **options: Any
) -> None:
    """Write a module that trains the model with its target alone: generated/<model>_<target>.py."""
    from bpgen.declare.load import zoo
    from bpgen.emit import TARGETS
    from bpgen.emit.files import default_path, outdated, write
    from bpgen.model import load

    if whole_zoo and output is not None:
        raise click.UsageError("--all writes many files; leave out -o.")
    modules = {}
    for name in zoo() if whole_zoo else (model,):
        loaded = load(name)
        for each in TARGETS if whole_zoo else (target,):
            path = output or default_path(loaded.network.name, each)
            modules[path] = loaded.source(each, **options)
    if fresh:
        _assert_fresh(outdated(modules, whole_folder=whole_zoo))
        return
    for path, text in modules.items():
        write(path, text)
        click.echo(f"Wrote {path}", err=True)
        if options["memory"]:
            click.echo(text.split('"""')[1].strip(), err=True)


def _assert_fresh(difference: str) -> None:
    """Show `difference`, if there is one, and say what to do about it."""
    if difference:
        click.echo(difference, nl=False)
        raise StaleError(
            "emitted files are not what their declarations give now",
            way_out="Run the command without --check, read the diff, and commit both together.",
        )


@main.command()
@click.argument("code")
def explain(code: str) -> None:
    """Print the long form of an error CODE such as BPG101."""
    from bpgen.explain import explain as long_form

    click.echo(long_form(code))


main.add_command(train)
main.add_command(summary)

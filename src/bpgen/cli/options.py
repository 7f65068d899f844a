"""What several commands share: the argument MODEL, options, and the terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130
WIDTH = 160  # of what is not a terminal
TARGET = click.Choice(["numpy", "cupy"])
DTYPE = click.Choice(["float32", "float64"])
PRECISION = click.Choice(["fp32", "tf32", "bf16"])
EXTRAS = click.Choice(["hvp"])
FORMAT = click.Choice(["text", "latex", "markdown", "html", "json"])
BATCH = click.IntRange(1)
JET = click.IntRange(0, 64)
SEED = click.IntRange(0, 2**63 - 1)

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20}


def amount(value: str) -> int:
    """Return an amount of memory, 64MB or 1.5GB, as a number of bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(\w*)", value.lower())
    if found is None or found[2] not in _UNITS:
        raise click.BadParameter(f"{value!r} is no amount of memory such as 64MB.")
    return int(float(found[1]) * _UNITS[found[2]])


def model_argument(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the argument MODEL."""
    return click.argument("model", default="model.py")(command)


def output_option(kind: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command the option -o, of metavar `kind`."""
    path = click.Path(path_type=Path)
    return click.option("-o", "--output", type=path, metavar=kind, help=f"Write to this {kind}.")


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Return the terminal; what is not one is wide enough for every table."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDTH
    return Console(stderr=stderr, quiet=quiet, width=width, markup=False, highlight=False)

"""What several commands share: the argument MODEL, options, and the terminal."""

from __future__ import annotations

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
SEED = click.IntRange(0, 2**63 - 1)


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

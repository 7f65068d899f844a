"""What options of the command line may be given."""

from __future__ import annotations

import re

import click

_UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20}


def amount(value: str) -> int:
    """Return an amount of memory, 64MB or 1.5GB, as a number of bytes."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(\w*)", value)
    if found is None or found[2] not in _UNITS:
        raise click.BadParameter(f"{value!r} is no amount of memory such as 64MB.")
    return int(float(found[1]) * _UNITS[found[2]])


BATCH = click.IntRange(1)
DTYPE = click.Choice(["float32", "float64"])
EXTRAS = click.Choice(["hvp"])
FORMAT = click.Choice(["text", "latex", "markdown", "html", "json"])
JET = click.IntRange(0, 64)
SEED = click.IntRange(0, 2**63 - 1)

"""The file that the sections stand in, each replaced when it is measured anew."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path

_HEAD = """# What the checker sees, and what it lets pass

Measured by `make evidence`; `benchmarks/verification` holds the program. A mistake is one change in
one derived equation, or in one line of an emitted file, of one of the small networks in
`benchmarks/verification/models`; bpgen judges it by the proof of `bpgen check`, and an edited file
by `bpgen check --module`.
"""
_PACKAGES = ("numpy", "sympy", "python-flint", "torch", "jax")


def merged(path: Path, title: str, section: str, titles: Sequence[str]) -> None:
    """Put a section in its place in the file at `path`."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    found = {part.partition("\n")[0].removeprefix("## "): part for part in parts}
    found[title] = section
    ordered = (found[t].rstrip("\n") for t in titles if t in found)
    path.write_text("\n\n".join([_HEAD.rstrip("\n"), *ordered]) + "\n", encoding="utf-8")


def machine() -> str:
    """Return what the figures were measured on."""
    here = {d.name: d.version for d in distributions() if d.name in _PACKAGES}
    versions = ", ".join(f"{name} {here[name]}" for name in _PACKAGES if name in here)
    return (
        f"{_processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}."
    )


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor()
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")

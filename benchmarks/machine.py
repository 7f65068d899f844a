"""What the figures were measured on, without the name of anybody's machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "torch", "jax", "scikit-learn")


def described() -> str:
    """Return the processor, its cores, and the versions of what took part."""
    known = [f"{name} {found}" for name in PACKAGES if (found := _version(name))]
    python = f"Python {platform.python_version()}"
    return f"{_processor()}, {os.cpu_count()} cores; {', '.join([python, *known])}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """Return the name of the processor, as Linux tells it, with the vectors it has."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor()
    pairs = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines())
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    widest = "AVX-512" if "avx512f" in facts["flags"].split() else "AVX2"
    family = f"family {facts['cpu family']}, model {facts['model']}"
    return f"{facts['model name']} ({family}, {widest})"

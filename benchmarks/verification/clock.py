"""How long a whole check takes, from the command to its verdict, as a user waits for it."""

from __future__ import annotations

import resource
import subprocess
import sys
import time

from benchmarks.verification.settings import Settings
from benchmarks.verification.table import table

_MODELS = {"digits_mlp": 10, "char_gpt": 60}


def section(settings: Settings) -> str:
    """Return the seconds of `bpgen check`, with the promise."""
    rows = []
    for model, promised in _MODELS.items():
        wall, cpu, verdict = timed(model, settings.seed)
        rows.append([f"`bpgen check {model}`", verdict, f"{wall:.1f}", f"{cpu:.1f}", f"{promised}"])
    return table("command | verdict | seconds | of processors | promised, below", rows)


def timed(model: str, seed: int) -> tuple[float, float, str]:
    """Return the seconds that pass, those of processors, and the verdict."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    words = [sys.executable, "-m", "bpgen", "check", model, "--seed", str(seed)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)  # noqa: S603
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return wall, cpu, done.stdout.split(maxsplit=1)[0]

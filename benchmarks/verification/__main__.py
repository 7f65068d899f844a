"""Measure the evidence, all of it or one part, and write it down."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read on import

import argparse
import secrets
import time
from importlib import import_module
from pathlib import Path

from benchmarks.verification.document import machine, merged
from benchmarks.verification.settings import Settings

PARTS = {
    "formulas": "Mistakes in derived equations",
    "files": "Edits of emitted files",
    "by_hand": "Edited by hand",
    "points": "False alarms",
    "networks": "Random networks",
    "clock": "The time of a check",
}


def main() -> None:
    """Read the options, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="replace the sections in this file")
    parser.add_argument("--part", action="append", choices=PARTS, help="one section; repeatable")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--seed", type=int, help="draw the same points again")
    parser.add_argument("--networks", type=int, default=5000, help="random networks at most")
    parser.add_argument("--minutes", type=float, default=5.0, help="for random networks at most")
    parser.add_argument("--every", type=int, default=3, help="try one mistake of so many")
    options = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    tenth = 10 if options.quick else 1
    settings = Settings(
        seed=seed,
        share=options.every * tenth,
        scaled=2,
        peers=4,
        points=2000 // tenth,
        networks=options.networks // tenth,
        minutes=options.minutes / tenth,
    )
    for part in options.part or PARTS:
        title, module = PARTS[part], import_module(f"benchmarks.verification.{part}")
        begin = time.perf_counter()
        text = module.section(settings)
        minutes = (time.perf_counter() - begin) / 60
        stated = f"Seed {seed}, 1 of {settings.share} mistakes; {minutes:.1f} minutes. {machine()}"
        section = f"## {title}\n\n{text}\n\n{stated}\n"
        print(section, flush=True)
        if options.output is not None:
            merged(options.output, title, section, list(PARTS.values()))


if __name__ == "__main__":
    main()

"""Random networks: their gradients are proved, one after the other, until the time is up."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.fuzz import laws
from tests.fuzz.search import Broken, search

from benchmarks.verification.pool import Pool
from benchmarks.verification.settings import Settings
from benchmarks.verification.table import table

_CHUNK = 200
_HEAD = (
    "networks, small ones more than once | different ones | proved | on a switch at every point"
    " | refuted or failed | minutes | in a second of one core"
)
_WHAT = """Up to five steps each, of layers, sums, maxima, windows, gathers, joins and loops.
`make fuzz N=100000` is the same search."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whether each network is proved, by its digest; and the one that fails, if one does."""

    proved: Mapping[bytes, bool]
    seconds: float
    broken: str = ""


def section(settings: Settings) -> str:
    """Return how many random networks are proved, and how long it takes."""
    begin = time.perf_counter()
    until = begin + 60 * settings.minutes
    starts = (settings.seed + k for k in range(-(-settings.networks // _CHUNK)))
    found: list[Chunk] = []
    with Pool() as pool:
        for chunk in pool.each(searched, starts):
            found.append(chunk)
            networks = sum(len(c.proved) for c in found)
            print(f"\r{networks:,} networks", end="", file=sys.stderr, flush=True)
            if chunk.broken or time.perf_counter() > until:
                break
    wall = time.perf_counter() - begin
    tried = {digest: is_proved for c in found for digest, is_proved in c.proved.items()}
    proved, cpu = sum(tried.values()), sum(c.seconds for c in found)
    drawn = sum(len(c.proved) for c in found)
    counts = (drawn, len(tried), proved, len(tried) - proved, sum(bool(c.broken) for c in found))
    row = [*(f"{n:,}" for n in counts), f"{wall / 60:.1f}", f"{len(tried) / cpu:.0f}"]
    broken = (c.broken for c in found if c.broken)
    return "\n\n".join([table(_HEAD, [row]), _WHAT, *broken])


def searched(start: int) -> Chunk:
    """Prove the networks that the seed `start` gives."""
    seen: dict[bytes, bool] = {}

    def law(text: str) -> bool:
        name = hashlib.blake2b(text.encode(), digest_size=8).digest()
        if name not in seen:
            seen[name] = laws.is_proved(text)
        return seen[name]

    begin, broken = time.process_time(), ""
    try:
        search(law, networks=_CHUNK, start=start)
    except Broken as error:
        broken = str(error)
    return Chunk(seen, time.process_time() - begin, broken)

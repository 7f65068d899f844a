"""Mistakes in derived equations: what bpgen says of each, and what other tools do."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tests.verify.mutants import mutants

from benchmarks.verification.judge import Word, float_gradient, judged
from benchmarks.verification.peers import TOOLS, Claim, Loss, Said, asked
from benchmarks.verification.pool import Pool
from benchmarks.verification.settings import Settings
from benchmarks.verification.subjects import NAMES, SCALES, Subject, subject
from benchmarks.verification.table import share, table
from bpgen.execute.load import load_module
from bpgen.execute.proof import probe_of
from bpgen.ir.derivation import Derivation
from bpgen.verify import check
from bpgen.verify.points import Point

# Of points, the first; and others, for a mistake in an entry that is 0 at the first.
_PLACES = 24
# Right gradients that other tools are shown, of each network.
_RIGHT = 12


@dataclass(frozen=True, slots=True)
class Finding:
    """One gradient: the mistake in it ("" for none), how bpgen ends it, what others say.

    `checked` is the verdict of a whole `check`, of a mistake that does not show at the first point.
    """

    scale: str
    operator: str
    what: str
    word: Word
    seconds: float
    peers: Mapping[str, Said]
    checked: str = ""


def section(settings: Settings) -> str:
    """Return the tables: by scale of the loss, and by the kind of mistake."""
    tasks = [(name, scale, settings) for scale in SCALES for name in NAMES]
    with Pool() as pool:
        found = [finding for part in pool.each(tried, tasks) for finding in part]
    wrong = [f for f in found if f.operator]
    parts = [
        table(_SCALE, (_by_scale(s, [f for f in wrong if f.scale == s]) for s in SCALES)),
        _SHOWN,
        table(_PEERS, _shown(wrong, [f for f in found if not f.operator])),
        "By the kind of mistake, with the loss as it is:",
        table(_KIND, _by_kind([f for f in wrong if f.scale == "1"])),
        "\n".join(_equal(wrong)),
    ]
    return "\n\n".join(parts)


_SHOWN = """Mistakes that are wrong at the first point, judged there by other tools too: how many
are refuted, of those that are shown to all."""
_SCALE = (
    "loss × | mistakes | do not run | equal at 24 points | wrong | refuted | at the first point"
)
_PEERS = f"loss × | {' | '.join(('bpgen', *TOOLS))}"
_KIND = f"mistake | wrong | {_PEERS.partition('|')[2]}"


def _by_scale(scale: str, found: Sequence[Finding]) -> list[str]:
    words = Counter(f.word for f in found)
    refuted = words[Word.REFUTED] + words[Word.LATER]
    wrong = refuted + words[Word.ESCAPED]
    counts = len(found), words[Word.BROKEN], words[Word.EQUAL], wrong, refuted, words[Word.REFUTED]
    return [scale, *(f"{n:,}" for n in counts)]


def _shown(wrong: Sequence[Finding], right: Sequence[Finding]) -> Iterator[list[str]]:
    for scale in SCALES:
        ours = [f for f in wrong if f.scale == scale and f.peers]
        yield [scale, *_caught(ours)]
    for scale in SCALES:
        ours = [f for f in right if f.scale == scale]
        yield [f"{scale}, false alarms", *_caught(ours)]
    seconds = [f.seconds for f in wrong if f.peers]
    times = [[f.peers[t].seconds for f in wrong if f.peers] for t in TOOLS]
    yield ["median ms", *(f"{1000 * np.median(t):.0f}" for t in (seconds, *times))]


def _caught(found: Sequence[Finding]) -> Iterator[str]:
    bpgen = sum(f.word in {Word.REFUTED, Word.LATER} for f in found)
    yield share(bpgen, len(found))
    for tool in TOOLS:
        yield share(sum(f.peers[tool].refutes for f in found), len(found))


def _by_kind(found: Sequence[Finding]) -> Iterator[list[str]]:
    for operator in dict.fromkeys(f.operator for f in found):
        own = [f for f in found if f.operator == operator]
        wrong = sum(f.word in {Word.REFUTED, Word.LATER, Word.ESCAPED} for f in own)
        yield [operator, f"{wrong:,}", *_caught([f for f in own if f.peers])]


def _equal(found: Sequence[Finding]) -> Iterator[str]:
    escaped = [f.what for f in found if f.word is Word.ESCAPED]
    late = [f for f in found if f.word is Word.LATER]
    missed = [f"{f.what}, loss × {f.scale}" for f in late if f.checked != "REFUTED"]
    yield (
        f"Of the {len(late)} that do not show at the first point, because what they change is 0 or "
        f"is not chosen there, one whole `check` with this seed refutes {len(late) - len(missed)}; "
        f"another seed is needed for: {'; '.join(missed) or 'none'}."
    )
    yield ""
    same = sorted({f.what for f in found if f.word is Word.EQUAL})
    yield f"Escaped: {'; '.join(escaped) or 'none'}."
    yield ""
    yield (
        "Equal are those whose every gradient is the right one, entry by entry, in one ball of "
        f"1e-60 of its size, at {_PLACES} points: {'; '.join(same)}."
    )


def tried(task: tuple[str, str, Settings]) -> list[Finding]:
    """Make the mistakes in one network, and have each judged."""
    name, scale, settings = task
    given = subject(name, scale)
    with np.errstate(all="ignore"):
        return [*_right(given, settings), *_wrong(given, settings)]


def _wrong(given: Subject, settings: Settings) -> Iterator[Finding]:
    places = given.places(settings.seed, _PLACES)
    share_of = settings.share if given.scale == "1" else settings.share * settings.scaled
    loss = loss_of(given, places[0][0])
    for k, mutant in enumerate(mutants(given.derivation)):
        if k % share_of:
            continue
        begin = time.perf_counter()
        word = judged(given, mutant.derivation, places)
        seconds = time.perf_counter() - begin
        is_wrong = word in {Word.REFUTED, Word.ESCAPED}
        is_shown = is_wrong and (k // share_of) % settings.peers == 0
        peers = asked(_claim(given, mutant.derivation, places[0][0], loss)) if is_shown else {}
        what = f"{given.name} {mutant.what} ({mutant.operator})"
        whole = _checked(given, mutant.derivation, settings) if word is Word.LATER else ""
        yield Finding(given.scale, mutant.operator, what, word, seconds, peers, whole)


def _checked(given: Subject, wrong: Derivation, settings: Settings) -> str:
    return check(given.model.network, wrong, seed=settings.seed).verdict


def _right(given: Subject, settings: Settings) -> Iterator[Finding]:
    """Show the right gradient at some points."""
    for place in given.places(settings.seed + 1, max(1, _RIGHT // settings.peers)):
        point = place[0]
        begin = time.perf_counter()
        word = judged(given, given.derivation, [place])
        seconds = time.perf_counter() - begin
        peers = asked(_claim(given, given.derivation, point, loss_of(given, point)))
        yield Finding(given.scale, "", given.name, word, seconds, peers)


def _claim(given: Subject, derivation: Derivation, point: Point, loss: Loss) -> Claim:
    gradient = float_gradient(given, derivation, point)
    names = [p.name for p in given.problem().parameters]
    return Claim(loss, [point.values[n] for n in names], [gradient[n] for n in names])


def loss_of(given: Subject, point: Point) -> Loss:
    """Return the loss of the emitted float64 module by its parameters, at the batch of `point`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{given.name}_numpy.py"
        path.write_text(given.model.source(dtype="float64"), encoding="utf-8")
        probe = probe_of(load_module(path), given.model.network, "float64")
    names = [p.name for p in given.problem().parameters]

    def loss(values: Sequence[np.ndarray]) -> float:
        return probe.gradient(dict(zip(names, values, strict=True)), point.values)[0]

    return loss

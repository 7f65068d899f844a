"""Edits of emitted files: what `bpgen check --module` and `--certificate` say of each."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tests.certify.edits import Edit, edits

from benchmarks.verification.peers import TOOLS, Claim, Said, asked
from benchmarks.verification.pool import Pool
from benchmarks.verification.settings import Settings
from benchmarks.verification.subjects import NAMES, Subject, subject
from benchmarks.verification.table import share, table
from bpgen.certify import examined, rechecked
from bpgen.certify.lines import block_of
from bpgen.errors import BpgenError
from bpgen.execute.load import load_module
from bpgen.execute.probe import Probe
from bpgen.execute.proof import probe_of
from bpgen.verify.points import Point

_PLACES = 6
_FAULTS = (ArithmeticError, LookupError, TypeError, ValueError, BpgenError)


@dataclass(frozen=True, slots=True)
class Finding:
    """One edit: what was made of it, by the module's text and by its numbers alone.

    `numbers` is "wrong", "does not run", "same" (bit by bit, at every point) or "rounding". `peers`
    are told the loss and the gradient of the edited file.
    """

    operator: str
    what: str
    is_refuted: bool
    names_line: bool
    numbers: str
    names_statement: bool | None
    certificate: bool | None
    peers: Mapping[str, Said]


def section(settings: Settings) -> str:
    """Return the tables of what became of every edit."""
    tasks = [(name, settings) for name in NAMES]
    with Pool() as pool:
        found = [finding for part in pool.each(tried, tasks) for finding in part]
    operators = sorted({f.operator for f in found})
    rows = [_row(o, [f for f in found if f.operator == o]) for o in operators]
    head = (
        "edit | edits | refuted | the line is named | change no bit | within rounding"
        " | do not run | wrong numbers | the statement is named by numbers alone"
        " | refuted by the numbers of a certificate"
    )
    shown = [f for f in found if f.peers]
    beside = [share(sum(f.peers[tool].refutes for f in shown), len(shown)) for tool in TOOLS]
    lines = [
        table(head, [*rows, _row("**all**", found)]),
        "",
        *_notes(found),
        "",
        _SHOWN,
        "",
        table(
            f"bpgen, by numbers alone | {' | '.join(TOOLS)}",
            [[share(len(shown), len(shown)), *beside]],
        ),
    ]
    return "\n".join(lines)


_SHOWN = """Of those with wrong numbers some are shown to other tools as well: the loss and the
gradient of the edited file, as its user would wrap it."""


def _row(title: str, found: Sequence[Finding]) -> list[str]:
    kinds = Counter(f.numbers for f in found)
    placed = [f.names_statement for f in found if f.names_statement is not None]
    by_record = [f.certificate for f in found if f.certificate is not None]
    return [
        title,
        f"{len(found):,}",
        f"{sum(f.is_refuted for f in found):,}",
        f"{sum(f.names_line for f in found):,}",
        *(f"{kinds[k]:,}" for k in ("same", "rounding", "does not run", "wrong")),
        f"{sum(placed):,} of {len(placed):,}",
        f"{sum(by_record):,} of {len(by_record):,}",
    ]


def _notes(found: Sequence[Finding]) -> Iterator[str]:
    yield (
        "An edit is refuted by the text in any case; the columns behind ask what the numbers say "
        f"alone. *Change no bit*: loss and gradients are equal to the last bit at {_PLACES} points "
        "and so are proved equal there. *The statement*: the edited line is in the block of the "
        "first equation that the module's memory contradicts."
    )
    odd = [f.what for f in found if f.numbers == "rounding" or not f.is_refuted]
    if odd:
        yield ""
        yield f"Within rounding: {'; '.join(odd)}."


def tried(task: tuple[str, Settings]) -> list[Finding]:
    """Make every edit of the module of one network, and have it examined."""
    name, settings = task
    given = subject(name)
    chosen = [e for k, e in enumerate(edits(given.model.source())) if k % settings.share == 0]
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        bench = _Bench(given, Path(folder), settings.seed)
        return [bench.finding(e, is_shown=k % settings.peers == 0) for k, e in enumerate(chosen)]


class _Bench:
    """The right module, its certificate, points, and a place for files that are edited."""

    def __init__(self, given: Subject, folder: Path, seed: int) -> None:
        self._given, self._folder, self._seed = given, folder, seed
        self._text, self._lying = given.model.source(), given.model.lying()
        self._points = [p for p, _ in given.places(seed, _PLACES)]
        self._right = [self._run(self._text, p) for p in self._points]
        self._certificate = folder / "certificate.json"
        found = given.model.certificate(given.model.check(seed))
        self._certificate.write_text(json.dumps(found), encoding="utf-8")

    def finding(self, edit: Edit, *, is_shown: bool) -> Finding:
        """Have one edit examined, and if `is_shown` by a certificate and by other tools too."""
        path = self._folder / "edited.py"
        path.write_text(edit.text, encoding="utf-8")
        said = examined(
            path, self._given.derivation, lambda *_: self._text, self._lying, self._seed
        )
        numbers, statement = "wrong", None
        if "does not run" in said.reason:
            numbers = "does not run"
        elif "right all the same" in said.reason:
            numbers = self._sameness(edit)
        else:
            statement = self._is_statement(edit, said.reason)
        certificate = None
        peers: Mapping[str, Said] = {}
        if is_shown and numbers == "wrong":
            seen = rechecked(path, self._certificate)
            certificate = "nothing that the certificate records" not in seen.reason
            peers = asked(self._claim(edit))
        return Finding(
            edit.operator,
            f"{self._given.name} {edit.line}: {edit.operator}, `{edit.what}`",
            said.verdict == "REFUTED",
            re.search(rf"line {edit.line}\b", said.reason) is not None,
            numbers,
            statement,
            certificate,
            peers,
        )

    def _sameness(self, edit: Edit) -> str:
        try:
            found = [self._run(edit.text, p) for p in self._points]
        except _FAULTS:
            return "rounding"
        return "same" if found == self._right else "rounding"

    def _claim(self, edit: Edit) -> Claim:
        """Return what an edited file says of its own loss, at the first point."""
        point, probe = self._points[0], self._probe(edit.text)
        names = [p.name for p in self._given.problem().parameters]

        def loss(values: Sequence[np.ndarray]) -> float:
            return probe.gradient(dict(zip(names, values, strict=True)), point.values)[0]

        at = [point.values[n] for n in names]
        _, gradient = probe.gradient(dict(zip(names, at, strict=True)), point.values)
        return Claim(loss, at, [gradient[n].copy() for n in names])

    def _run(self, text: str, point: Point) -> tuple[bytes, ...]:
        """Return the bits of the loss and of every gradient, in float64."""
        own = {p.name: point.values[p.name] for p in self._given.problem().parameters}
        loss, gradient = self._probe(text).gradient(own, point.values)
        return (np.float64(loss).tobytes(), *(g.tobytes() for g in gradient.values()))

    def _probe(self, text: str) -> Probe:
        path = self._folder / "module.py"
        path.write_text(text, encoding="utf-8")
        return probe_of(load_module(path), self._given.model.network, "float64")

    def _is_statement(self, edit: Edit, reason: str) -> bool:
        """Whether the edited line is in the block of the tensor that is called wrong first."""
        named = re.search(r"first wrong: (∂L/∂)?(\w+)", reason)
        if named is None:
            return False
        tensor = f"d_{named[2]}" if named[1] else named[2]
        return edit.line in block_of(self._text, tensor)

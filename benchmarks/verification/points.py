"""Right gradients of every model of the zoo, at points of every kind: none may be refuted."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import bpgen as bp
from benchmarks.verification.pool import Pool
from benchmarks.verification.settings import Settings
from benchmarks.verification.table import table
from bpgen.declare.load import zoo
from bpgen.execute.load import load_module
from bpgen.execute.proof import probe_of
from bpgen.ir.derivation import Derivation
from bpgen.model import Model
from bpgen.verify import Emitted
from bpgen.verify.emitted import compare
from bpgen.verify.equal import equal
from bpgen.verify.evidence import Outcome
from bpgen.verify.line import gaussian
from bpgen.verify.points import Point, generic, initial, trained
from bpgen.verify.problem import BUDGET, Problem, problem
from bpgen.verify.proof import prove
from bpgen.verify.reduce import reduced
from bpgen.verify.trial import Trial

_KINDS = ("generic", "initial", "after training", "equal extents")
_DTYPES = ("float64", "float32")


@dataclass(frozen=True, slots=True)
class Finding:
    """One point of one model: what the proof says there, its digits, what emitted code does."""

    kind: str
    outcome: Outcome
    digits: float
    emitted: tuple[Outcome, ...] = ()


def section(settings: Settings) -> str:
    """Return how many right gradients are refuted."""
    names = zoo()
    each = -(-settings.points // (len(names) * len(_KINDS)))
    with Pool() as pool:
        tasks = [(name, each, settings.seed) for name in names]
        found = [finding for part in pool.each(tried, tasks) for finding in part]
    head = "points | gradients | refuted | agree | on a switch, or undecided | fewest digits"
    rows = [_row(k, [f for f in found if f.kind == k]) for k in _KINDS]
    codes = Counter(outcome for f in found for outcome in f.emitted)
    what = (
        f"All {len(names)} models of the zoo, at the extents that `check` proves them at; a fresh "
        "point and direction for each gradient. Their emitted modules in float64 and float32 at "
        f"the generic points: {sum(codes.values()):,} gradients compared, "
        f"{codes[Outcome.REFUTES]} refuted, {codes[Outcome.UNDECIDED]} near a switch."
    )
    return f"{table(head, [*rows, _row('**all**', found)])}\n\n{what}"


def _row(kind: str, found: Sequence[Finding]) -> list[str]:
    outcomes = Counter(f.outcome for f in found)
    digits = [f.digits for f in found if f.outcome is Outcome.AGREES]
    counts = (outcomes[o] for o in (Outcome.REFUTES, Outcome.AGREES, Outcome.UNDECIDED))
    return [kind, f"{len(found):,}", *(f"{n:,}" for n in counts), f"{min(digits, default=0):.0f}"]


def tried(task: tuple[str, int, int]) -> list[Finding]:
    """Prove the gradient of one model at as many points of every kind."""
    name, count, seed = task
    rng = np.random.default_rng([seed, zoo().index(name)])
    model = bp.load(name)
    subject = problem(model.network, model.derive().derivation)
    if subject.cost > BUDGET:
        subject = reduced(subject, rng)
    square = equal(subject, rng)
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        codes = _codes(model, subject.derivation, Path(folder))
        return [f for _ in range(count) for f in _findings(subject, square, codes, rng)]


def _findings(
    subject: Problem, square: Problem | None, codes: Sequence[Emitted], rng: np.random.Generator
) -> Iterator[Finding]:
    point = generic(subject, rng)
    trial = _proved(subject, point, rng)
    outcomes = tuple(compare(code, trial.base, point).outcome for code in codes)
    yield replace(_finding("generic", trial), emitted=outcomes)
    start = initial(subject, point, rng)
    yield _finding("initial", _proved(subject, start, rng))
    yield _finding("after training", _proved(subject, trained(subject, start), rng))
    if square is not None:
        yield _finding("equal extents", _proved(square, generic(square, rng), rng))


def _proved(subject: Problem, point: Point, rng: np.random.Generator) -> Trial:
    return prove(subject, point, [gaussian(subject, subject.parameters, rng)])


def _finding(kind: str, trial: Trial) -> Finding:
    return Finding(kind, trial.outcome, min(trial.digits().values()))


def _codes(model: Model, derivation: Derivation, folder: Path) -> list[Emitted]:
    codes = []
    for dtype in _DTYPES:
        path = folder / f"{dtype}.py"
        text = model._source(derivation, "numpy", dtype)  # noqa: SLF001  at reduced extents
        path.write_text(text, encoding="utf-8")
        probe = probe_of(load_module(path), derivation.source, dtype)
        codes.append(Emitted(dtype, dtype, probe.gradient))
    return codes

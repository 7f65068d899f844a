"""`check`: every level of evidence, in order, and the verdict they come to."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec

import numpy as np

from bpgen.errors import UndecidedError
from bpgen.ir.derivation import Derivation
from bpgen.ir.network import Network
from bpgen.verify.canaries import canaries
from bpgen.verify.complex_step import disagreement
from bpgen.verify.conclude import conclude
from bpgen.verify.coverage import further
from bpgen.verify.diagnosis import diagnose
from bpgen.verify.emitted import Emitted, compare
from bpgen.verify.equal import equal
from bpgen.verify.estimate import estimate
from bpgen.verify.evidence import Outcome
from bpgen.verify.held import held
from bpgen.verify.integral import integrals
from bpgen.verify.levels import Stopwatch
from bpgen.verify.line import Direction, base, gaussian, unit
from bpgen.verify.measured import measured
from bpgen.verify.numbers import COMPLEX
from bpgen.verify.points import Point, generic, initial, trained
from bpgen.verify.precision import loser
from bpgen.verify.problem import BUDGET, Problem, lifted, problem
from bpgen.verify.reduce import reduced
from bpgen.verify.stencils import stencils
from bpgen.verify.summary import agreement, kinks
from bpgen.verify.taylor import remainders
from bpgen.verify.trial import Trial
from bpgen.verify.verdict import Verdict

Progress = Callable[[str], None]
EmittedFrom = Callable[[Derivation], Sequence[Emitted]]

# Directions that move every parameter at once.
_JOINT = 3
# Decimals are slower, and take 14 evaluations to a direction.
_PRICE_OF_ESTIMATES = 20
# How far the initial point moves off a switch, as a share of the way to the generic point.
_OFF_THE_SWITCH = 1e-3


def check(
    network: Network,
    derivation: Derivation,
    *,
    seed: int | None = None,
    emitted: Sequence[Emitted] = (),
    emitted_from: EmittedFrom = lambda derivation: (),
    digits: int = 50,
    progress: Progress = lambda stage: None,
) -> Verdict:
    """Say whether `derivation` holds the gradient of `network`, and to how many digits.

    Points and directions are drawn anew in every run, from `seed` if it is given (the verdict
    states it). `emitted` are gradient functions to compare with the proved gradient. Where the
    declared extents are too large for a proof, it is one of the same equations at smaller extents;
    `emitted_from` emits from a derivation at these, and `emitted` are measured at the declared
    ones. `digits` is the precision of the stencils, and of everything where flint is missing.
    `progress` is told each stage.
    """
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    declared = problem(network, derivation)
    sizes = {p.name: math.prod(declared.shape(p)) for p in declared.parameters}
    subject, is_reduced = declared, declared.cost > _budget()
    rng = np.random.default_rng(seed)
    watch = Stopwatch(progress)
    if is_reduced:
        watch.stage("extents")
        subject = reduced(declared, rng)
    blank = Verdict("UNDECIDED", network.name, seed, sizes, _named(subject))
    blank = replace(blank, declared=_named(declared) if is_reduced else {})
    try:
        codes = emitted_from(subject.derivation) if is_reduced else emitted
        found = _gathered(blank, subject, rng, emitted=codes, digits=digits, stage=watch.stage)
        if is_reduced:
            watch.stage("declared extents")
            found = replace(found, measured=measured(network, derivation, rng, emitted))
        return conclude(replace(found, levels=watch.levels()))
    except UndecidedError as error:
        return replace(blank, reason=error.what)


def _named(subject: Problem) -> dict[str, int]:
    return {str(e): size for e, size in subject.extents.items()}


def _budget() -> int:
    return BUDGET if has_flint() else BUDGET // _PRICE_OF_ESTIMATES


def _gathered(
    blank: Verdict,
    subject: Problem,
    rng: np.random.Generator,
    *,
    emitted: Sequence[Emitted],
    digits: int,
    stage: Progress,
) -> Verdict:
    """Return `blank` with the evidence of every level filled in."""
    stage("points")
    point = generic(subject, rng)
    start = initial(subject, point, rng)
    directions = _directions(subject, rng)
    stage("proof")
    trial = _tried(subject, point, directions, digits)
    trials = tuple(_everywhere(trial, start, directions, digits, rng))
    holes = next((t.holes for t in trials if t.holes and not t.undecided), ())
    found = replace(blank, agreement=agreement(trials), kinks=kinks(trials), holes=holes)
    if trial.holes:
        return found
    refuted = next((t for t in trials if t.outcome is Outcome.REFUTES), None)
    found = _with_levels(found, trial, directions[0], digits, stage)
    if refuted is not None:
        stage("diagnosis")
        return replace(found, diagnosis=diagnose(refuted, rng))
    stage("canaries")
    found = replace(found, canaries=canaries(trial, rng))
    if emitted:
        found = _with_emitted(found, trial, directions[0], emitted, stage)
    return found


def _everywhere(
    trial: Trial,
    start: Point,
    directions: Sequence[Direction],
    digits: int,
    rng: np.random.Generator,
) -> Iterator[Trial]:
    """Yield the generic trial, and those at the start, after training, on equal extents.

    And at further generic points, as many as show entries that were 0, or branches not taken.
    """
    subject = trial.base.problem
    second = _tried(subject, start, directions, digits, like=trial)
    if second.undecided:
        moved = start.moved(trial.point, _OFF_THE_SWITCH)
        second = _tried(subject, moved, directions, digits, like=trial)
    tried = [trial, second]
    later = _tried(subject, trained(subject, start), directions[:1], digits, like=trial)
    if not later.undecided:
        tried.append(later)
    yield from tried
    yield from further(tried, lambda width: _another(trial, directions[:1], digits, rng, width))
    square = equal(subject, rng)
    if square is not None:
        point = replace(generic(square, rng), name="generic, all extents equal")
        on_squares = _tried(square, point, _directions(square, rng)[:1], digits, like=trial)
        if not on_squares.undecided:
            yield on_squares


def _another(
    trial: Trial,
    directions: Sequence[Direction],
    digits: int,
    rng: np.random.Generator,
    width: float,
) -> Trial | None:
    """Return the trial at another generic point, if the loss is finite so far out."""
    subject = trial.base.problem
    try:
        point = generic(subject, rng, width)
    except UndecidedError:
        return None
    name = "another generic" if width == 1 else f"generic, {width:g} times as wide"
    return _tried(subject, replace(point, name=name), directions, digits, like=trial)


def _with_levels(
    found: Verdict, trial: Trial, direction: Direction, digits: int, stage: Progress
) -> Verdict:
    """Add what can be followed by eye: Taylor remainders, stencils, the complex step.

    Differences are taken along a direction of length 1 as a whole: derivatives of high order grow
    with it.
    """
    stage("Taylor table")
    shorter = lifted(unit(direction), trial.base.numbers)
    found = replace(
        found,
        table=remainders(trial.base, shorter),
        stencils=stencils(trial.base, shorter, digits),
    )
    stage("complex step")
    native = base(trial.base.problem, trial.point, COMPLEX)
    error = disagreement(native, direction)
    return replace(
        found,
        complex_step=-math.log10(error) if error else COMPLEX.digits,
        held=held(native, direction),
    )


def _with_emitted(
    found: Verdict,
    trial: Trial,
    direction: Direction,
    emitted: Sequence[Emitted],
    stage: Progress,
) -> Verdict:
    """Add what emitted modules do: their gradients, their line integrals, what float32 keeps."""
    stage("emitted code")
    found = replace(found, emitted=tuple(compare(e, trial.base, trial.point) for e in emitted))
    stage("line integral")
    pairs = zip(emitted, found.emitted, strict=True)
    shaped = [code for code, comparison in pairs if math.isfinite(comparison.error)]
    ways = integrals(shaped, trial.base, trial.point, unit(direction))
    found = replace(found, integrals=ways)
    stage("float32")
    return replace(found, loser=loser(trial.base))


def _directions(subject: Problem, rng: np.random.Generator) -> list[Direction]:
    """Return directions that move all tensors together.

    Two wrong tensors cancel along a Gaussian direction with probability 0, and in balls no small
    tensor drowns in the sum: the digits of each are counted by its own size.
    """
    return [gaussian(subject, subject.parameters, rng) for _ in range(_JOINT)]


def _tried(
    subject: Problem,
    point: Point,
    directions: Sequence[Direction],
    digits: int,
    *,
    like: Trial | None = None,
) -> Trial:
    """Gather the evidence at `point`, from the precision on that the trial `like` took."""
    if not has_flint():
        return estimate(subject, point, directions, digits)
    from bpgen.verify.proof import BITS, prove

    known = 0 if like is None else round(like.base.numbers.digits * math.log2(10))
    return prove(subject, point, directions, bits=max(BITS, known))


def has_flint() -> bool:
    """Whether ball arithmetic is installed; without it, the verdict says, nothing is proved."""
    return find_spec("flint") is not None

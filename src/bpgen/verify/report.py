"""The verdict as text for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap

from bpgen.verify.canaries import Canary
from bpgen.verify.emitted import Comparison
from bpgen.verify.evidence import AGREEMENT, Outcome
from bpgen.verify.held import Held
from bpgen.verify.measured import Measured
from bpgen.verify.stencils import Stencil
from bpgen.verify.summary import Agreement, Kinks
from bpgen.verify.taylor import Table
from bpgen.verify.verdict import Verdict

_MARGIN = 13
_WIDTH = 84
_NAMES = 8


def report(found: Verdict) -> str:
    """Return the verdict first, then one paragraph for each level of evidence."""
    paragraphs = (*_outcome(found), *_evidence(found), *_surroundings(found))
    lines = (line for title, text in paragraphs for line in paragraph(title, text))
    return "\n".join([f"{found.verdict:<9}  {_subject(found)}", *lines])


def _outcome(found: Verdict) -> Iterator[tuple[str, str]]:
    if found.reason:
        yield "reason", found.reason
    if found.diagnosis is not None:
        yield "diagnosis", str(found.diagnosis)


def _evidence(found: Verdict) -> Iterator[tuple[str, str]]:
    if found.agreement is not None:
        lines = (*_formula(found.agreement, found.seed), *_where(found))
        yield "formula", "\n".join(lines)
    if found.table is not None:
        yield "slopes", "\n".join(slopes(found.table))
    if found.stencils:
        yield "stencils", "\n".join(_stencils(found.stencils))
    if found.complex_step is not None:
        yield "complex", f"step i 1e-20 in float64: {found.complex_step:.1f} digits"
    for comparison in found.emitted:
        yield "emitted", "\n".join((_emitted(comparison), *_kept(comparison)))
    if found.integrals:
        yield "integral", "\n".join(map(str, found.integrals))
    if found.loser is not None:
        yield "float32", "\n".join(wrap(str(found.loser), _WIDTH))
    if found.measured is not None:
        yield "measured", "\n".join(_measured(found.measured))


def _surroundings(found: Verdict) -> Iterator[tuple[str, str]]:
    if found.kinks is not None:
        yield "kinks", _kinks(found.kinks)
    if found.held:
        yield "held", "\n".join(_held(found.held))
    if found.canaries:
        yield "teeth", _teeth(found.canaries)
    yield "not shown", _not_shown(found)


def paragraph(title: str, text: str) -> Iterator[str]:
    """Yield a paragraph: its title in the margin, its lines beside it."""
    first, *rest = text.split("\n")
    yield f"  {title:<{_MARGIN - 2}}{first}"
    yield from (" " * _MARGIN + line for line in rest)


def _subject(found: Verdict) -> str:
    names = list(found.parameters)
    shown = ", ".join(names if len(names) <= _NAMES else [*names[: _NAMES - 1], "…"])
    count = sum(found.parameters.values())
    return f"∂loss/∂{{{shown}}} of {found.network}   ({count:,} parameters, {len(names)} tensors)"


def _formula(shown: Agreement, seed: int) -> Iterator[str]:
    how = "proved by ball arithmetic" if shown.proved else "estimated, as python-flint is missing"
    worst = min(shown.digits, key=lambda name: shown.digits[name])
    if shown.outcome is Outcome.REFUTES:
        yield "differs from the Taylor coefficient of the forward formulas"
    else:
        yield f"agrees with the Taylor coefficient of the forward formulas to {shown.worst} digits"
    yield f"({how}, {shown.numbers}, seed {seed},"
    yield from wrap(f"at {len(shown.points)} points ({'; '.join(shown.points)}),", _WIDTH)
    yield f"along {shown.directions} Gaussian directions; worst: {worst})"
    if shown.outcome is Outcome.AGREES:
        yield f"an error of relative size >= {AGREEMENT:.0e} in any tensor:"
        yield f"missed with probability < 1e{_missed(shown)} per direction"


def _where(found: Verdict) -> Iterator[str]:
    """Say that the proof is one of the same equations at smaller extents, if it is."""
    if found.declared:
        yield from wrap(f"at reduced extents {_sizes(found.extents)}:", _WIDTH)
        yield from wrap(f"the equations are the same as at {_sizes(found.declared)}", _WIDTH)


def _emitted(comparison: Comparison) -> str:
    size = f"|g - formula| <= {comparison.error:.1e} |g|  (worst: {comparison.worst})"
    return f"{comparison.label}  {comparison.fault or size}"


def _kept(comparison: Comparison) -> Iterator[str]:
    """Say how many digits of each tensor are right, if there are few tensors."""
    if 0 < len(comparison.digits) <= _NAMES:
        digits = ", ".join(f"{name} {count:.1f}" for name, count in comparison.digits.items())
        yield from wrap(f"digits: {digits}", _WIDTH)


def _measured(found: Measured) -> Iterator[str]:
    yield from wrap(f"not proved, at {_sizes(found.extents)}:", _WIDTH)
    along = f"along {found.directions} Gaussian directions"
    yield f"step i 1e-20 in float64, {along}: {found.complex_step:.1f} digits"
    yield from map(_emitted, found.emitted)
    yield from map(str, found.integrals)


def _sizes(extents: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={size}" for name, size in extents.items())


def _missed(shown: Agreement) -> int:
    """Return log10 of P(|e·v| ≤ τ) = erf(τ / √2|e|) ≤ τ/|e| for the worst tensor, rounded up."""
    return min(0, math.ceil(-math.log10(AGREEMENT) - min(shown.digits.values())))


def slopes(table: Table) -> Iterator[str]:
    """Yield the table of Taylor remainders, a row for each step."""
    yield f"remainders of the Taylor expansion, in {table.numbers}: R_k falls as h^(k+1)"
    yield "h         R0        slope     R1        slope     R2        slope"
    columns = [table.slopes(order) for order in range(3)]
    for k, row in enumerate(table.rows):
        cells = [f"2^-{row.exponent}"]
        for order in range(3):
            remainder, slope = row.remainders[order], columns[order][k]
            missing = "exact" if table.is_exact(order) else "rounding"
            cells += [missing if remainder is None else f"{remainder:.2e}"]
            cells += ["" if slope is None else f"{slope:.6f}"]
        note = "a switch is crossed" if row.crossed else ""
        yield ("".join(f"{cell:<10}" for cell in cells) + note).rstrip()


def _stencils(rows: Sequence[Stencil]) -> Iterator[str]:
    yield "order  h         digits  Richardson  weights of φ(jh) - φ(-jh), j = 1, 2, …, by sympy"
    for row in rows:
        step, more = f"2^-{row.exponent}", f"{row.richardson:.1f}" if row.richardson else ""
        yield f"{row.order:<7}{step:<10}{row.digits:<8.1f}{more:<12}{row.weights}"


def _kinks(kinks: Kinks) -> str:
    if not kinks.switches:
        return "none: the formulas are smooth"
    if kinks.undecided:
        return f"{kinks.switches} switches; undecided:\n" + "\n".join(kinks.undecided)
    text = f"{kinks.switches} switches, none within {_down(kinks.distance)} of the points"
    if kinks.ties:
        text += f"; {kinks.ties} ties for good (harmless)"
    return text + (f"\nnearest: {kinks.nearest}" if kinks.nearest else "")


def _down(distance: float) -> str:
    """Return a power of ten below `distance`."""
    return f"1e{math.floor(math.log10(distance))}" if 0 < distance < math.inf else "0"


def _held(tensors: Sequence[Held]) -> Iterator[str]:
    effects = {False: "moving it changes nothing", True: "the gradient is that with it held"}
    for matters, effect in effects.items():
        names = ", ".join(t.tensor for t in tensors if t.matters is matters)
        if names:
            yield from wrap(f"{names}: {effect}", _WIDTH)


def _teeth(planted: Sequence[Canary]) -> str:
    refuted = sum(canary.refuted for canary in planted)
    lines = wrap(", ".join(canary.what for canary in planted), _WIDTH)
    return "\n".join([f"{refuted} of {len(planted)} wrong gradients refuted:", *lines])


def _not_shown(found: Verdict) -> str:
    text = "gradients at kinks; whether the forward formulas are the wanted ones; "
    text += f"extents but {_sizes(found.extents)}"
    if found.kinks is not None and found.kinks.one_sided:
        ways = "; ".join(" ".join(told.split()) for told in found.kinks.one_sided)
        text += f"; the other side of what comes out one way at all points: {ways}"
    if found.declared and found.measured is None:
        text += f"; those declared are too large to be measured: {_sizes(found.declared)}"
    return "\n".join(wrap(text, _WIDTH))

"""From evidence to a verdict: the only place that says VERIFIED."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from bpgen.verify.complex_step import SIGNIFICANT_DIGITS
from bpgen.verify.emitted import Comparison
from bpgen.verify.evidence import AGREEMENT, Outcome
from bpgen.verify.integral import Integral
from bpgen.verify.verdict import Verdict


def conclude(found: Verdict) -> Verdict:
    """Return `found` with its verdict: one refutation refutes, one doubt leaves it open."""
    for word, reasons in (("REFUTED", _refutations(found)), ("UNDECIDED", _doubts(found))):
        reason = next(reasons, None)
        if reason is not None:
            return replace(found, verdict=word, reason=reason)
    return replace(found, verdict="VERIFIED")


def _refutations(found: Verdict) -> Iterator[str]:
    if found.holes:
        yield f"{found.holes[0]} is not finite, at a point where the loss has a derivative"
    if found.agreement is not None and found.agreement.outcome is Outcome.REFUTES:
        yield "the derived gradient is not the derivative of the forward formulas"
    for comparison in _comparisons(found):
        if comparison.outcome is Outcome.REFUTES:
            yield f"{comparison.label}: {comparison.fault}"
    for integral in _integrals(found):
        if integral.outcome is Outcome.REFUTES:
            yield f"line integral of {integral}"


def _doubts(found: Verdict) -> Iterator[str]:
    if found.agreement is None or found.agreement.outcome is Outcome.UNDECIDED:
        switches = found.kinks.undecided if found.kinks is not None else ()
        yield f"the point may lie on a switch: {switches[0]}" if switches else _TOO_WIDE
    elif found.agreement.proved and found.agreement.worst < -math.log10(AGREEMENT):
        yield _TOO_WIDE
    yield from _contradictions(found)
    if not found.canaries:
        yield "the gradient vanishes at the points: no wrong one can be told from it"
    for canary in found.canaries:
        if not canary.refuted:
            yield f"the checker has no teeth at this point: it lets `{canary.what}` pass"
    for comparison in _comparisons(found):
        if comparison.outcome is Outcome.UNDECIDED:
            yield f"{comparison.label}: {comparison.fault}, and a switch is near"


def _comparisons(found: Verdict) -> tuple[Comparison, ...]:
    return found.emitted + (found.measured.emitted if found.measured is not None else ())


def _integrals(found: Verdict) -> tuple[Integral, ...]:
    return found.integrals + (found.measured.integrals if found.measured is not None else ())


_TOO_WIDE = "the error bounds are too wide, at the highest precision, to tell"


def _contradictions(found: Verdict) -> Iterator[str]:
    """Yield the levels that do not see what the proof says; then one of the two has a bug."""
    if found.table is not None and not found.table.agrees:
        yield f"the Taylor remainder R1 falls as h^{found.table.slope(1):.2f}, not as h²"
    for stencil in found.stencils:
        if not stencil.agrees:
            yield f"the stencil of order {stencil.order} agrees to {stencil.digits:.0f} digits only"
    if found.complex_step is not None and found.complex_step < SIGNIFICANT_DIGITS:
        yield f"the complex step agrees to {found.complex_step:.0f} digits only"
    if found.measured is not None and not found.measured.complex_step >= SIGNIFICANT_DIGITS:
        digits = found.measured.complex_step
        yield f"at the declared extents the complex step agrees to {digits:.0f} digits only"

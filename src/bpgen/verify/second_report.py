"""The report on second derivatives as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from bpgen.verify.emitted import Comparison
from bpgen.verify.evidence import Outcome
from bpgen.verify.forms import Claim
from bpgen.verify.report import paragraph, slopes
from bpgen.verify.second import Second


def second_report(found: Second) -> str:
    """Return the verdict first, then one paragraph for each level of evidence."""
    shown = found.product
    count = sum(shown.parameters.values())
    subject = f"products with ∂²loss/∂θ² of {shown.network}   ({count:,} parameters)"
    head = f"{found.verdict:<9}  {subject}"
    lines = [line for title, text in _paragraphs(found) for line in paragraph(title, text)]
    return "\n".join([head, *lines])


def _paragraphs(found: Second) -> Iterator[tuple[str, str]]:
    if found.reason:
        yield "reason", found.reason
    if found.product.agreement is not None:
        yield "product", "\n".join(_product(found))
    if found.claims:
        yield "forms", "\n".join(map(_claim, found.claims))
    if found.table is not None:
        rows = ["R2 with the derived v·Hv:", *slopes(found.table)]
        yield "slopes", "\n".join(rows)
    measured = found.product.measured
    for comparison in found.product.emitted:
        yield "emitted", _emitted(comparison)
    for comparison in measured.emitted if measured else ():
        yield "measured", f"at the declared extents: {_emitted(comparison)}"
    if found.jet:
        yield "jet", "\n".join(_jet(found))


def _product(found: Second) -> Iterator[str]:
    shown = found.product
    assert shown.agreement is not None
    yield f"Hv is the gradient of v·∇loss to {shown.agreement.worst} digits"
    how = "proved by ball arithmetic" if shown.agreement.proved else "estimated"
    yield f"({how}, {shown.agreement.numbers}, seed {shown.seed},"
    yield f"at {len(shown.agreement.points)} points ({'; '.join(shown.agreement.points)}))"
    sizes = ", ".join(f"{name}={size}" for name, size in shown.extents.items())
    yield f"at the extents {sizes}" + (", which are reduced" if shown.declared else "")
    if shown.complex_step is not None:
        yield f"step i 1e-20 of the gradient in float64: {shown.complex_step:.1f} digits"
    refuted = sum(canary.refuted for canary in shown.canaries)
    yield f"{refuted} of {len(shown.canaries)} wrong products refuted"


def _emitted(comparison: Comparison) -> str:
    error = f"|Hv - derived| <= {comparison.error:.1e} (worst: {comparison.worst})"
    agrees = comparison.outcome is Outcome.AGREES
    return f"{comparison.label}: {error if agrees else comparison.fault}"


def _claim(claim: Claim) -> str:
    if claim.outcome is Outcome.AGREES:
        return f"{claim.what}: {claim.note or f'{claim.digits:.0f} digits'}"
    return f"{claim.what}: {claim.outcome.name}  {claim.note}".rstrip()


def _jet(found: Second) -> Iterator[str]:
    yield "Taylor coefficients of loss(θ + t v), proved:"
    for row in found.jet:
        told = f"   {_claim(row.claim)}" if row.claim else ""
        yield f"t^{row.order:<3} {row.enclosure}{told}"

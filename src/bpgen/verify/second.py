"""`check_second`: whether products with second derivatives are those of the forward formulas."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bpgen.derive import second_order
from bpgen.errors import UndecidedError
from bpgen.ir.tangent import Curvature
from bpgen.verify.check import check, has_flint
from bpgen.verify.emitted import Emitted
from bpgen.verify.evidence import Outcome
from bpgen.verify.line import Base, Direction, base, gaussian, slope
from bpgen.verify.points import generic
from bpgen.verify.problem import BUDGET, Problem, problem
from bpgen.verify.product import as_gradient
from bpgen.verify.reduce import reduced
from bpgen.verify.taylor import Table, remainders
from bpgen.verify.verdict import Verdict

if TYPE_CHECKING:
    from bpgen.verify.forms import Claim
    from bpgen.verify.jet import Coefficient

_BITS = 340
_ATTEMPTS = 3
# How many entries a product reads for one that the loss reads, about.
_PRICE = 8
# R2 falls as h³ if v·Hv is right, and as h² if not.
_RIGHT = 2.9


@dataclass(frozen=True, slots=True)
class Second:
    """What was shown of products with second derivatives.

    `product` is the verdict on the Hessian times a fixed direction, as a gradient; `claims` compare
    products with quadratic forms, `table` has the derived v·Hv in its last remainder, and `jet`
    holds Taylor coefficients of the loss.
    """

    product: Verdict
    claims: tuple[Claim, ...] = ()
    table: Table | None = None
    jet: tuple[Coefficient, ...] = ()
    doubt: str = ""

    @property
    def verdict(self) -> str:
        """Return VERIFIED, REFUTED or UNDECIDED."""
        words = {self.product.verdict, *(word for word, _ in self._findings())}
        return next(w for w in ("REFUTED", "UNDECIDED", "VERIFIED") if w in words)

    @property
    def reason(self) -> str:
        """Return what refutes, or leaves it open; empty if all is verified."""
        own = [(self.product.verdict, self.product.reason), *self._findings()]
        return next((text for word, text in own if word == self.verdict), "")

    def _findings(self) -> Iterator[tuple[str, str]]:
        words = {Outcome.REFUTES: "REFUTED", Outcome.UNDECIDED: "UNDECIDED"}
        for claim in (*self.claims, *(c.claim for c in self.jet if c.claim)):
            if claim.outcome in words:
                yield words[claim.outcome], f"{claim.what}: {claim.note or 'bounds are too wide'}"
        if self.doubt:
            yield "UNDECIDED", self.doubt
        found = self.table.slope(2) if self.table else None
        if found is not None and found < _RIGHT:
            yield "UNDECIDED", f"the Taylor remainder R2 falls as h^{found:.2f}, not as h³"

    def __str__(self) -> str:
        """Return the report for people."""
        from bpgen.verify.second_report import second_report

        return second_report(self)

    def to_json(self) -> dict[str, Any]:
        """Return it as numbers, strings, lists and dictionaries."""
        rows = [(c.order, c.enclosure, c.claim) for c in self.jet]
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "product": self.product.to_json(),
            "claims": [_json(claim) for claim in self.claims],
            "slope": self.table.slope(2) if self.table else None,
            "jet": [
                {"order": k, "enclosure": ball, "derived": _json(claim) if claim else None}
                for k, ball, claim in rows
            ],
        }


def check_second(
    hessian: Curvature,
    *,
    seed: int | None = None,
    order: int = 0,
    emitted: Sequence[Emitted] = (),
    progress: Callable[[str], None] = lambda stage: None,
) -> Second:
    """Say whether `hessian`, and the product of Gauss and Newton, are right, to how many digits.

    `order` asks for Taylor coefficients of the loss up to that power. `emitted` are functions that
    give v·∇L and the product; see `check` for the rest.
    """
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    verdict = check(*as_gradient(hessian), seed=seed, emitted=emitted, progress=progress)
    if not has_flint():
        return Second(verdict, doubt="python-flint is missing: no Taylor coefficient is proved")
    rng = np.random.default_rng(seed)
    subject = problem(hessian.derivation.source, hessian.derivation)
    if subject.cost > BUDGET // _PRICE:
        subject = reduced(subject, rng)
    progress("second order")
    try:
        return _compared(verdict, subject, rng, order)
    except UndecidedError as error:
        return Second(verdict, doubt=error.what)


def _compared(verdict: Verdict, subject: Problem, rng: np.random.Generator, order: int) -> Second:
    """Compare products with forms of the loss; double the precision while that leaves a doubt."""
    from bpgen.verify.forms import on_a_grid

    point = generic(subject, rng)
    v, w = (on_a_grid(gaussian(subject, subject.parameters, rng)) for _ in range(2))
    curvatures = second_order(subject.derivation)
    bits = _BITS
    for _ in range(_ATTEMPTS):
        found = _at(base(subject, point, _balls(bits)), verdict, curvatures, (v, w), order)
        if found.verdict != "UNDECIDED":
            break
        bits *= 2
    return found


def _balls(bits: int) -> Any:
    from bpgen.verify.balls import Balls

    return Balls(bits)


def _at(
    at: Base,
    verdict: Verdict,
    curvatures: Sequence[Curvature],
    pair: tuple[Direction, Direction],
    order: int,
) -> Second:
    from bpgen.verify.forms import claims, product
    from bpgen.verify.jet import jet

    v, w = pair
    found = tuple(claim for c in curvatures for claim in claims(at, c, v, w))
    curved = slope(product(at, curvatures[0], v), v, at.numbers)
    rows = jet(at, curvatures[0], v, order) if order else ()
    return Second(verdict, found, remainders(at, v, curved), rows)


def _json(claim: Claim) -> dict[str, Any]:
    digits = claim.digits if math.isfinite(claim.digits) else None
    return {
        "what": claim.what,
        "outcome": claim.outcome.value,
        "digits": digits,
        "note": claim.note,
    }

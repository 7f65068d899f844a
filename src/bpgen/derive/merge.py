"""What is done to a contribution after it is sifted, and how contributions become one cotangent."""

from __future__ import annotations

import sympy
from sympy import Expr

from bpgen.derive.monomial import factored, separated
from bpgen.derive.named import Helpers
from bpgen.derive.reuse import Saved
from bpgen.derive.sift import is_moving
from bpgen.derive.turn import folded
from bpgen.ir.equation import Term
from bpgen.ir.expr import Access, Delta, Pad, indices_of
from bpgen.ir.tensor import Tensor


def tidied(term: Term, of: Tensor, saved: Saved, helpers: Helpers) -> list[tuple[str, Term]]:
    """Return what becomes of a sifted contribution, by every rule that changes it.

    `reuse` writes saved outputs, `sum` a sum whose value is known, `pull out` names a sum whose
    factors do not all depend on its index.
    """
    trail: list[tuple[str, Term]] = []

    def note(rule: str, after: Term) -> None:
        if after != (trail[-1][1] if trail else term):
            trail.append((rule, after))

    now = term
    value = saved.closed_sum(now) if now.over else None
    if value is not None:
        now = Term(value)
        note("sum", now)
    now = Term(factored(saved.named(factored(now.body))), now.over)
    note("reuse", now)
    if now.over:
        now = saved.by_output(now)
        note("reuse", now)
        now = _pulled(now, of, helpers)
        note("pull out", now)
        now = Term(factored(saved.named(now.body)), now.over)
        note("reuse", now)
    return trail


def _pulled(term: Term, of: Tensor, helpers: Helpers) -> Term:
    """Name a sum with entries of other indices in front, to multiply by them once, not inside."""
    free, dependent = separated(factored(term.body), term.over)
    repeated = not {*of.indices} <= indices_of(term.body)
    if not free.has(Access) and not repeated:
        return term
    number, rest = dependent.as_coeff_Mul()
    return Term(number * free * helpers.named(Term(rest, term.over), of).out.canonical)


def merged(terms: list[Term]) -> tuple[Term, ...]:
    """Add up contributions: sums, borders and single entries one by one, then the rest at once."""
    apart = [t for t in terms if t.over or t.body.has(Pad) or _is_single(t.body)]
    bodies = [t.body for t in terms if t not in apart]
    plain = factored(sympy.Add(*bodies)) if bodies else sympy.S.Zero
    sums = folded(apart)
    return (*sums, Term(plain)) if plain != 0 or not sums else tuple(sums)


def _is_single(body: Expr) -> bool:
    """Whether `body` is 0 but at one value of an index."""
    factors = sympy.Mul.make_args(body)
    return any(isinstance(f, Delta) and not is_moving(f.args[1]) for f in factors)

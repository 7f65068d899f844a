"""What is done to a contribution after it is sifted, and how contributions become one cotangent."""

from __future__ import annotations

import sympy
from sympy import Expr

from bpgen.derive.monomial import factored, powers, separated
from bpgen.derive.reuse import Saved
from bpgen.derive.sift import is_moving
from bpgen.derive.turn import folded
from bpgen.ir.equation import Equation, Term
from bpgen.ir.expr import Access, Delta, Pad, indices_of
from bpgen.ir.tensor import Role, Tensor


class Helpers:
    """The sums that cotangents name, each once: `p_dot_d_p[n] = Σ_k p[n,k] ∂L/∂p[n,k]`."""

    def __init__(self, taken: frozenset[str]) -> None:
        """Start with no sum; `taken` are the names that are not free."""
        self._taken = set(taken)
        self._by_term: dict[Term, Equation] = {}
        self._by_name: dict[str, Equation] = {}

    def named(self, term: Term, of: Tensor) -> Equation:
        """Return the equation that names the sum `term`, a part of the cotangent of `of`."""
        if term not in self._by_term:
            axes = tuple(i for i in of.indices if i in indices_of(term.body))
            tensor = Tensor(self._name(term, of), axes, Role.COTANGENT)
            self._by_term[term] = self._by_name[tensor.name] = Equation(tensor, (term,))
        return self._by_term[term]

    def read_by(self, equation: Equation) -> tuple[Equation, ...]:
        """Return the named sums that `equation` reads."""
        return tuple(self._by_name[name] for name in equation.reads() if name in self._by_name)

    def _name(self, term: Term, of: Tensor) -> str:
        _, found = powers(term.body)
        entries = [b.name for b, e in found.items() if isinstance(b, Access) and e == 1]
        entries.sort(key=lambda name: (name.startswith("d_"), name))
        is_plain = len(entries) == len(found)
        if is_plain and len(entries) == 2:
            stem = "_dot_".join(entries)
        elif is_plain and len(entries) == 1:
            stem = f"sum_{entries[0]}"
        else:
            stem = f"sum_for_d_{of.name}"
        name, k = stem, 1
        while name in self._taken:
            name, k = f"{stem}{k + 1}", k + 1
        self._taken.add(name)
        return name


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
    """Add up contributions: sums, shifts, and parts of an axis one by one, then the rest."""
    apart = [t for t in terms if t.over or isinstance(t.body, Pad) or _is_a_part(t.body)]
    sums = folded(apart)
    bodies = [t.body for t in terms if t not in apart]
    plain = factored(sympy.Add(*bodies)) if bodies else sympy.S.Zero
    return (*sums, Term(plain)) if plain != 0 or not sums else tuple(sums)


def _is_a_part(body: Expr) -> bool:
    """Whether `body` is 0 but at one value of an index."""
    factors = sympy.Mul.make_args(body)
    return any(isinstance(f, Delta) and not is_moving(f.args[1]) for f in factors)

"""An equation: one tensor, entry by entry, as a sum of terms.

    out[I] = Σ_R f(…) + Σ_S g(…) + h(…)

Each term has the indices it sums over (none for a plain map). Forward equations and cotangents are
both of this form, so a derivation is again a list of equations, and can be derived again. A
maximum, and the address of a maximum, stand alone: `m[n] = max_k z[n,k]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import sympy
from sympy import Expr

from bpgen.ir.expr import Access, Max, Sum, accesses, indices_of
from bpgen.ir.index import Index
from bpgen.ir.source import SourceLine
from bpgen.ir.tensor import Tensor


class Op(Enum):
    """How the values of a term are brought together over its indices."""

    SUM = "Σ"
    MAX = "max"
    ARGMAX = "argmax"


@dataclass(frozen=True, slots=True)
class Term:
    """`Σ_over body`; a plain map if `over` is empty."""

    body: Expr
    over: tuple[Index, ...] = ()

    def replaced(self, mapping: Mapping[Expr, Any]) -> Term:
        """Return the term with whole subexpressions replaced, indices of the sum included."""
        over = tuple(mapping.get(i, i) for i in self.over)
        return Term(self.body.xreplace(mapping), over)


@dataclass(frozen=True, slots=True)
class Equation:
    """`out[I] = terms`, and what it reads in `predict` where that differs (dropout)."""

    out: Tensor
    terms: tuple[Term, ...]
    op: Op = Op.SUM
    where: SourceLine | None = None
    predict: tuple[Term, ...] | None = None

    @property
    def rhs(self) -> Expr:
        """Return the right side as one expression."""
        node = Max if self.op is Op.MAX else Sum
        parts = [node(t.body, t.over) if t.over else t.body for t in self.terms]
        return sympy.Add(*parts) if len(parts) > 1 else parts[0]

    @property
    def is_map(self) -> bool:
        """Whether nothing is summed: each entry is one formula of entries."""
        return self.op is Op.SUM and all(not term.over for term in self.terms)

    def accesses(self) -> tuple[Access, ...]:
        """Return the entries read, each once, the first term's first."""
        return tuple(dict.fromkeys(a for term in self.terms for a in accesses(term.body)))

    def reads(self) -> tuple[str, ...]:
        """Return the names of the tensors read, each once."""
        return tuple(dict.fromkeys(a.name for a in self.accesses()))

    def unbound(self) -> frozenset[Index]:
        """Return the indices that are neither on the left nor summed; a sound equation has none."""
        left = frozenset(self.out.indices)
        return frozenset(
            index for t in self.terms for index in indices_of(t.body) - left - frozenset(t.over)
        )

    def for_prediction(self) -> Equation:
        """Return the equation as `predict` computes it."""
        if self.predict is None:
            return self
        return Equation(self.out, self.predict, self.op, self.where)


def needed(equations: Iterable[Equation], wanted: Iterable[str]) -> list[Equation]:
    """Keep what the tensors `wanted` are computed from, in order."""
    given = list(equations)
    by_name = {e.out.name: e for e in given}
    stack = [name for name in dict.fromkeys(wanted) if name in by_name]
    kept = set(stack)
    while stack:
        fresh = [name for name in by_name[stack.pop()].reads() if name in by_name]
        stack += [name for name in dict.fromkeys(fresh) if name not in kept]
        kept.update(fresh)
    return [e for e in given if e.out.name in kept]

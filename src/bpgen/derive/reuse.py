"""Saved values: what the forward pass has computed is not computed again.

Two facts are read off the forward equations. A map `p[n,k] = e[n,k]/s[n]` names a formula, so the
formula may be written by its name. A sum `mean[n] = Σ_c x[n,c]/C` is the value of that sum wherever
it occurs; so the sum of centred values is C mean - C mean = 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy
from sympy import Expr

from bpgen.derive.monomial import distributed, powers, replaced, separated
from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Access, accesses, indices_of, renamed
from bpgen.ir.index import Index, size
from bpgen.ir.network import Network


@dataclass(frozen=True, slots=True)
class Saved:
    """The forward equations, found by the tensors they read."""

    maps: dict[str, tuple[Equation, ...]]
    sums: dict[str, tuple[Equation, ...]]
    nonzero: frozenset[str]

    @classmethod
    def of(cls, network: Network) -> Saved:
        """Return what `network` saves: products of several entries, and sums of one term."""
        maps: dict[str, list[Equation]] = {}
        sums: dict[str, list[Equation]] = {}
        nonzero = set()
        for equation in network.equations:
            if equation.op is not Op.SUM or len(equation.terms) != 1:
                continue
            (term,) = equation.terms
            if term.over:
                _file(sums, equation)
            elif not isinstance(term.body, Access):
                if _never_zero(term.body):
                    nonzero.add(equation.out.name)
                if isinstance(term.body, sympy.Mul | sympy.Pow | sympy.Function):
                    _file(maps, equation)
        return cls(
            {k: tuple(v) for k, v in maps.items()},
            {k: tuple(v) for k, v in sums.items()},
            frozenset(nonzero),
        )

    def named(self, expr: Expr) -> Expr:
        """Write saved outputs where their formula recurs: e/s² becomes p/s."""
        for equation in self._candidates(self.maps, expr):
            for mapping in _alignments(equation, expr):
                number, found = powers(renamed(equation.terms[0].body, mapping))
                expr = replaced(expr, found, _output(equation, mapping) / number)
        return expr

    def by_output(self, term: Term) -> Term:
        """Write a factor under a sum by the output it makes: Σ (x - mean) g = Σ xhat g / rstd.

        The other factors of that output must be free of the summed index, and cannot be 0.
        """
        for equation in self._candidates(self.maps, term.body, partial=True):
            for mapping in _alignments(equation, term.body):
                free, factor = separated(renamed(equation.terms[0].body, mapping), term.over)
                number, pattern = powers(factor)
                if list(pattern.values()) == [1] and self._invertible(free):
                    output = _output(equation, mapping) / free / number
                    body = replaced(term.body, pattern, output)
                    if body != term.body:
                        return Term(body, term.over)
        return term

    def closed_sum(self, term: Term) -> Expr | None:
        """Return the value of a sum if its parts are saved sums or free of its index, else None."""
        bound = {a for a in accesses(term.body) if indices_of(a) & {*term.over}}
        if not all(a.name in self.sums for a in bound):
            return None
        parts = []
        for monomial in distributed(term.body):
            free, dependent = separated(monomial, term.over)
            value = size(term.over) if dependent == 1 else self._saved_sum(dependent, term.over)
            if value is None:
                return None
            parts.append(free * value)
        return sympy.Add(*parts)

    def _saved_sum(self, body: Expr, over: tuple[Index, ...]) -> Expr | None:
        for equation in self._candidates(self.sums, body):
            for mapping in _alignments(equation, body):
                mine = equation.terms[0].replaced(mapping)
                ratio = body / mine.body
                if (
                    set(mine.over) == set(over)
                    and not indices_of(ratio) & set(over)
                    and not ratio.has(Access)
                ):
                    return ratio * _output(equation, mapping)
        return None

    def _invertible(self, free: Expr) -> bool:
        entries = accesses(free)
        return bool(entries) and all(a.name in self.nonzero for a in entries)

    def _candidates(
        self, table: dict[str, tuple[Equation, ...]], expr: Expr, *, partial: bool = False
    ) -> Iterator[Equation]:
        names = dict.fromkeys(a.name for a in accesses(expr))
        for equation in dict.fromkeys(e for name in names for e in table.get(name, ())):
            if partial or all(name in names for name in equation.reads()):
                yield equation


def _file(table: dict[str, list[Equation]], equation: Equation) -> None:
    for name in equation.reads():
        table.setdefault(name, []).append(equation)


def _output(equation: Equation, mapping: dict[Expr, Expr]) -> Expr:
    """Return what `equation` defines, under other indices."""
    return renamed(equation.out.canonical, mapping)


def _never_zero(body: Expr) -> bool:
    """Whether a formula has no zero: an exponential, or a negative power."""
    _, found = powers(body)
    return all(isinstance(b, sympy.exp) or (e.is_number and e < 0) for b, e in found.items())


def _alignments(equation: Equation, expr: Expr) -> Iterator[dict[Expr, Expr]]:
    """Yield the renamings of the equation's indices that make it read what `expr` reads.

    An index takes the place of one of the same extent: a part of a tensor is not the whole of it.
    """
    widest = max(equation.accesses(), key=lambda a: len(a.indices), default=None)
    if widest is None:
        return
    seen = []
    for entry in accesses(expr):
        if entry.name == widest.name:
            mapping = dict(zip(widest.indices, entry.indices, strict=True))
            if mapping not in seen and all(_same_range(i, j) for i, j in mapping.items()):
                seen.append(mapping)
                yield mapping


def _same_range(ours: Expr, theirs: Expr) -> bool:
    return isinstance(ours, Index) and isinstance(theirs, Index) and ours.extent == theirs.extent

"""Mutants: every small way to get a derivation wrong, one at a time.

Source: R. A. DeMillo, R. J. Lipton & F. G. Sayward 1978, Hints on test data selection.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import sympy
from tests.verify.planted import tampered

from bpgen.ir.derivation import Derivation
from bpgen.ir.equation import Equation, Term
from bpgen.ir.expr import Access, Delta, Where, accesses
from bpgen.ir.index import Index

TINY = sympy.Rational(1, 1000)
Terms = tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A wrong derivation: the kind of mistake, the tensor and the mistake, and what comes of it."""

    operator: str
    what: str
    derivation: Derivation


def mutants(derivation: Derivation) -> Iterator[Mutant]:
    """Yield wrong derivations, one for every mistake in every equation of `backward`."""
    for equation in derivation.backward:
        name = equation.out.name
        for operator, what, terms in _changes(equation):
            wrong = tampered(derivation, name, lambda _, terms=terms: terms)
            yield Mutant(operator, f"{name}: {what}", wrong)
    yield from _exchanged(derivation)


def _exchanged(derivation: Derivation) -> Iterator[Mutant]:
    """Exchange the gradients of two parameters of one shape."""
    by_name = {e.out.name: e for e in derivation.backward}
    gradients = [by_name[derivation.gradient_of(p.name)] for p in derivation.source.parameters]
    for a, b in combinations(gradients, 2):
        if [i.extent for i in a.out.indices] == [i.extent for i in b.out.indices]:
            first = tampered(derivation, a.out.name, lambda _, b=b, a=a: _at(b, a))
            both = tampered(first, b.out.name, lambda _, b=b, a=a: _at(a, b))
            yield Mutant("gradients exchanged", f"{a.out.name} and {b.out.name}", both)


def _at(equation: Equation, other: Equation) -> Terms:
    """Return the terms of `equation`, at the indices of `other`."""
    names: Any = dict(zip(equation.out.indices, other.out.indices, strict=True))
    return tuple(Term(t.body.xreplace(names), t.over) for t in equation.terms)


def _changes(equation: Equation) -> Iterator[tuple[str, str, Terms]]:
    for k, term in enumerate(equation.terms):
        before, after = equation.terms[:k], equation.terms[k + 1 :]
        if before or after:
            yield "term dropped", f"term {k}", before + after
        for operator, what, body in _bodies(term.body):
            assert body != term.body, what
            yield operator, f"{what}, term {k}", (*before, Term(body, term.over), *after)
        for index in term.over:
            rest = tuple(i for i in term.over if i != index)
            first = Term(term.body.xreplace({index: sympy.S.Zero}), rest)
            yield "sum lost", f"Σ_{index}, term {k}", (*before, first, *after)
    for power in (2, 6):
        off = 1 + _entry(equation) / 10**power
        terms = tuple(Term(t.body * off, t.over) for t in equation.terms)
        yield f"one entry off by 1e-{power}", "", terms


def _entry(equation: Equation) -> Any:
    """Return 1 at one entry of the left side, 0 elsewhere."""
    at = ((i, 1 if i.extent.value is None else i.extent.value - 1) for i in equation.out.indices)
    return sympy.Mul(*(Delta(i, sympy.Integer(k)) for i, k in at))


def _bodies(body: Any) -> Iterator[tuple[str, str, Any]]:
    yield "sign", "", -body
    yield "factor 2", "", 2 * body
    yield "zero", "", sympy.S.Zero
    for power in range(2, 14, 2):
        off = 1 + sympy.Rational(1, 10**power)
        yield f"off by 1e-{power}", "", off * body
    yield from _factors(body)
    yield from _parts(body)
    yield from _numbers(body)
    yield from _orders(body)


def _factors(body: Any) -> Iterator[tuple[str, str, Any]]:
    for factor in sympy.Mul.make_args(body):
        is_binary = factor.has(Delta, Where)  # 0 and 1 are their own squares, and have no inverse
        if factor != body:
            yield "factor dropped", str(factor), body / factor
            if not is_binary:
                yield "factor squared", str(factor), body * factor
        if factor not in (-1, 1) and not is_binary:
            yield "divided, not multiplied", str(factor), body / factor**2


def _parts(body: Any) -> Iterator[tuple[str, str, Any]]:
    """Lose a part of a sum, choose the other branch."""
    for sum_ in sorted(body.atoms(sympy.Add) - _inside_indices(body), key=str):
        for part in sum_.args:
            yield "part of a sum dropped", str(part), body.xreplace({sum_: sum_ - part})
    for choice in sorted(body.atoms(Where), key=str):
        condition, a, b = choice.args
        yield "other branch", str(condition), body.xreplace({choice: Where(condition, b, a)})


def _numbers(body: Any) -> Iterator[tuple[str, str, Any]]:
    """Change a constant; leave one that is tiny out, or make it ten times as small."""
    hidden = {node: sympy.Dummy() for node in (*accesses(body), *body.atoms(Delta))}
    shown = {dummy: node for node, dummy in hidden.items()}
    bare = body.xreplace(hidden)
    for number in sorted(bare.atoms(sympy.Number) - {sympy.S.NegativeOne}, key=str):
        if 0 < abs(number) < TINY:
            yield "eps dropped", str(number), bare.xreplace({number: 0 * number}).xreplace(shown)
            small = bare.xreplace({number: number / 10})
            yield "eps changed", str(number), small.xreplace(shown)
        elif number.is_finite:
            more = bare.xreplace({number: number + 1})
            yield "constant + 1", str(number), more.xreplace(shown)


def _orders(body: Any) -> Iterator[tuple[str, str, Any]]:
    """Exchange two axes of one length in what is read: a transposition too many or too few."""
    for read in accesses(body):
        axes = [k for k, i in enumerate(read.indices) if isinstance(i, Index)]
        for j, k in combinations(axes, 2):
            if read.indices[j].extent.value == read.indices[k].extent.value:
                at = list(read.indices)
                at[j], at[k] = at[k], at[j]
                yield "axes exchanged", str(read), body.xreplace({read: Access(read.head, *at)})


def _inside_indices(body: Any) -> set[Any]:
    """Return the sums that say where something is read."""
    places = (*accesses(body), *body.atoms(Delta))
    return {sum_ for place in places for sum_ in place.atoms(sympy.Add)}

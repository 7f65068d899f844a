"""Mutants: every small way to get a derivation wrong, one at a time.

Source: R. A. DeMillo, R. J. Lipton & F. G. Sayward 1978, Hints on test data selection.
"""

from collections.abc import Iterator
from typing import Any

import sympy
from tests.verify.planted import tampered

from bpgen.ir.derivation import Derivation
from bpgen.ir.equation import Equation, Term
from bpgen.ir.expr import Delta, Where

NEARLY = 1 + sympy.Rational(1, 10**12)


def mutants(derivation: Derivation) -> Iterator[tuple[str, Derivation]]:
    """Yield wrong derivations by name, one for every term and every factor of `backward`."""
    for equation in derivation.backward:
        for what, terms in _changes(equation):
            name = equation.out.name
            yield f"{name}: {what}", tampered(derivation, name, lambda _, terms=terms: terms)


def _changes(equation: Equation) -> Iterator[tuple[str, tuple[Term, ...]]]:
    for k, term in enumerate(equation.terms):
        others = equation.terms[:k], equation.terms[k + 1 :]
        if len(equation.terms) > 1:
            yield f"term {k} dropped", others[0] + others[1]
        for what, body in _bodies(term.body):
            assert body != term.body, what
            yield f"{what} in term {k}", (*others[0], Term(body, term.over), *others[1])


def _bodies(body: Any) -> Iterator[tuple[str, Any]]:
    for what, factor in (("sign", -1), ("2", 2), ("1 + 1e-12", NEARLY)):
        yield what, factor * body
    for factor in sympy.Mul.make_args(body):
        if factor != body:
            yield f"{factor} dropped", body / factor
        if factor != body and not factor.has(Delta, Where):  # 0 and 1 are their own squares
            yield f"{factor} squared", body * factor
    for sum_ in sorted(body.atoms(sympy.Add), key=str):
        for part in sum_.args:
            yield f"{part} dropped from a sum", body.xreplace({sum_: sum_ - part})

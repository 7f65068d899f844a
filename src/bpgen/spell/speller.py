"""One walk over a formula, for every way to write it down.

The order is a reader's: positive terms first; numbers, then factors in the order the network
defines them, cotangents last; a division as a division, a root as a root. How each piece looks is
left to `pieces`, which `formula` and `latex` give a look. An unknown node is an error, never a
default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import sympy
from sympy import Expr
from sympy.core.relational import Relational

from bpgen.errors import TargetError
from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import (
    Access,
    Delta,
    Digit,
    Hold,
    Max,
    Pad,
    Sum,
    Where,
    accesses,
    base_and_exponent,
    named_choice,
    sign_of,
)
from bpgen.spell.derivative import Derivative
from bpgen.spell.joined import as_joined
from bpgen.spell.pieces import Pieces

ADD, MUL, POW, ATOM = range(4)


class Spelled(NamedTuple):
    """A text and how tightly it binds."""

    text: str
    binds: int


class Speller(Pieces):
    """Write formulas down; `order` says which tensor comes first in a product."""

    def __init__(
        self,
        order: Mapping[str, int] | None = None,
        derivatives: Mapping[str, Derivative] | None = None,
    ) -> None:
        """Take the position of each tensor by name; unknown ones come after, by name.

        `derivatives` says which derivative a tensor is whose name does not.
        """
        self._order = order or {}
        self._derivatives = derivatives or {}

    # ---- equations -------------------------------------------------------------------------------

    def equation(self, equation: Equation, sign: str = "=") -> str:
        """Return `out[I] = right side`."""
        axes, terms = as_joined(equation)
        at = [" + ".join(map(self.spell, parts)) for parts in axes]
        return f"{self.access(equation.out.name, at)} {sign} {self.terms(terms, equation.op)}"

    def terms(self, terms: Sequence[Term], op: Op = Op.SUM) -> str:
        """Return a right side: sums first, then the rest."""
        if len(terms) == 1 and not terms[0].over:
            return self.spell(terms[0].body)
        if op is not Op.SUM:
            return self.reduction(op.value, terms[0].over, self.tight(terms[0].body, MUL))
        return self._joined([self._term(t) for t in terms])

    def _term(self, term: Term) -> tuple[bool, str]:
        if not term.over:
            return self._signed(term.body)
        number, _ = term.body.as_coeff_Mul()
        minus = bool(number.is_negative)
        body = self.tight(-term.body if minus else term.body, MUL)
        return minus, self.reduction("Σ", term.over, body)

    # ---- expressions -----------------------------------------------------------------------------

    def spell(self, expr: sympy.Basic) -> str:
        """Return the text of a formula."""
        return self._node(expr).text

    def _node(self, expr: sympy.Basic) -> Spelled:  # noqa: PLR0912, C901  one case a node
        match expr:
            case Access():
                return Spelled(self.access(expr.name, [self.spell(i) for i in expr.indices]), ATOM)
            case sympy.Add():
                return Spelled(
                    self._joined([self._signed(a) for a in self._ordered_terms(expr)]), ADD
                )
            case sympy.Mul() | sympy.Rational():
                if expr.as_coeff_Mul()[0].is_negative:
                    return Spelled(f"-{self.tight(-expr, MUL)}", ADD)
                return self._product(expr)
            case sympy.exp():
                return Spelled(self.function("exp", [self.spell(expr.args[0])]), ATOM)
            case sympy.Pow():
                return (
                    self._product(expr)
                    if expr.exp.is_negative
                    else self._power(expr.base, expr.exp)
                )
            case Where():
                return Spelled(self._where(expr), ATOM)
            case Delta():
                return Spelled(self.delta(*(self.spell(a) for a in expr.args)), ATOM)
            case Pad():
                return Spelled(self.padded(*(self.spell(a) for a in expr.args)), MUL)
            case Digit():
                return Spelled(self.digit(*(self.tight(a, POW) for a in expr.args)), MUL)
            case Max() | Sum():
                word = "max" if isinstance(expr, Max) else "Σ"
                return Spelled(self.reduction(word, expr.over, self.tight(expr.body, MUL)), MUL)
            case Hold():
                return Spelled(self.function("hold", [self.spell(expr.args[0])]), ATOM)
            case Relational():
                left, right = (self.spell(a) for a in expr.args)
                return Spelled(self.relation(left, sign_of(expr), right), ADD)
            case sympy.Symbol() | sympy.NumberSymbol():
                return Spelled(self.symbol(str(expr)), ATOM)
            case sympy.S.NegativeInfinity:
                return Spelled(f"-{self.symbol('oo')}", ADD)
            case sympy.Function():
                return Spelled(
                    self.function(expr.func.__name__, [self.spell(a) for a in expr.args]), ATOM
                )
            case _:
                raise TargetError(
                    f"no spelling for {type(expr).__name__}",
                    disagree=f"it stands in {expr}",
                    way_out="Add a case to spell/speller.py.",
                )

    def tight(self, expr: sympy.Basic, binds: int) -> str:
        """Return the text of a formula, in brackets if it binds less than `binds`."""
        text, own = self._node(expr)
        return text if own >= binds else self.parentheses(text)

    # ---- sums and products -----------------------------------------------------------------------

    def _joined(self, parts: Sequence[tuple[bool, str]]) -> str:
        (minus, text), *rest = sorted(parts, key=lambda part: part[0])
        head = f"-{text}" if minus else text
        return head + "".join(f" {'-' if m else '+'} {t}" for m, t in rest)

    def _signed(self, expr: Expr) -> tuple[bool, str]:
        number, _ = expr.as_coeff_Mul()
        if number.is_negative:
            return True, self.tight(-expr, MUL)
        return False, self.tight(expr, MUL)

    def _ordered_terms(self, expr: sympy.Add) -> list[Expr]:
        return sorted(expr.args, key=lambda a: (bool(a.is_number), self._rank(a)))

    def _product(self, expr: Expr) -> Spelled:
        coefficient, rest = expr.as_coeff_Mul()
        number = cast("sympy.Rational", coefficient)
        above, below = [], []
        for factor in sympy.Mul.make_args(rest):
            base, exponent = base_and_exponent(factor)
            if exponent.is_negative:
                below.append(base**-exponent)
            elif factor != 1:
                above.append(factor)
        above.sort(key=self._rank)
        below.sort(key=self._rank)
        decimal = self._decimal(number)
        if decimal is None and number.q != 1:
            below.insert(0, sympy.Integer(number.q))
            number = sympy.Integer(number.p)
        leading = (
            []
            if number == 1 and above
            else [self.decimal(decimal) if decimal else self.number(number)]
        )
        if below:
            return Spelled(self._quotient(leading, above, below), MUL)
        factors = [*leading, *(self.tight(f, MUL + 1) for f in above)]
        return Spelled(self.product(factors), MUL if len(factors) > 1 else ATOM)

    def _quotient(self, leading: list[str], above: list[Expr], below: list[Expr]) -> str:
        return self.fraction(
            self.product([*leading, *(self.tight(f, MUL + 1) for f in above)]),
            self.product([self.tight(f, MUL + 1) for f in below]),
            alone=len(below) == 1,
        )

    def _decimal(self, number: sympy.Rational) -> str | None:
        """Return 0.044715 for 8943/200000, 1e+30 for 10³⁰; None where a fraction reads better."""
        if number.is_Integer and abs(number) > 10**15:
            return repr(float(number))
        if number.q in {1, 2, 3, 4, 6, 8} or set(sympy.factorint(number.q)) - {2, 5}:
            return None
        return repr(float(number))

    def _power(self, base: Expr, exponent: Expr) -> Spelled:
        if exponent == sympy.Rational(1, 2):
            return Spelled(self.root(base), ATOM)
        return Spelled(self.power(self.tight(base, ATOM), exponent), POW)

    def _rank(self, expr: sympy.Basic) -> tuple[int, int, int, str]:
        """Sort numbers and sizes first, then entries in the network's order, cotangents last."""
        found = accesses(expr)
        cotangent = int(any(a.name.startswith("d_") or "_d_" in a.name for a in found))
        places = [self._order.get(a.name, len(self._order)) for a in found]
        composite = int(not isinstance(expr, Access | sympy.Pow))
        return (cotangent if found else -1, min(places, default=-1), composite, _last_resort(expr))

    def _where(self, expr: Where) -> str:
        condition, a, b = expr.args
        known = named_choice(expr)
        if known is not None:
            name, args = known
            return self.function(name, [self.spell(x) for x in sorted(args, key=self._rank)])
        if a == 1 and b == 0:
            return self.bracket(self.spell(condition))
        return self.choice(self.spell(a), self.spell(condition), self.spell(b))


def _last_resort(expr: sympy.Basic) -> str:
    """Return a text that orders what nothing else does; quick for entries, the usual factors."""
    if isinstance(expr, Access):
        return ",".join(getattr(i, "name", "") for i in expr.indices)
    return str(expr)

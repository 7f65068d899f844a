"""Formulas as CUDA C++: values of type `real`, and index expressions of type `int`.

What holds no entry is folded, in double precision; a number is written `0.5_r`, which is of type
`real` in both precisions. Whole powers are products, x^(-1/2) is `rsqrt(x)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import sympy
from sympy import Expr
from sympy.core.relational import Relational

from bpgen.errors import TargetError
from bpgen.ir.expr import (
    Access,
    Delta,
    Digit,
    Hold,
    Pad,
    Where,
    base_and_exponent,
    named_choice,
    sign_of,
)
from bpgen.ir.index import Extent, Index, Scalar
from bpgen.spell import Speller
from bpgen.spell.speller import ADD, ATOM, MUL, Spelled

_FUNCTIONS = {
    "exp": "exp", "log": "log", "sin": "sin", "cos": "cos", "tan": "tan", "sinh": "sinh",
    "cosh": "cosh", "tanh": "tanh", "atan": "atan", "log1p": "log1p", "expm1": "expm1",
    "erf": "erf", "floor": "floor",
    "max": "maximum", "min": "minimum", "abs": "abs", "sign": "sign",
}  # fmt: skip


class Entry(NamedTuple):
    """Where an entry lies, and whether it is an integer."""

    text: str
    is_integer: bool


class CudaSpeller(Speller):
    """Spell formulas of one kernel; the kernel says what its names are."""

    def __init__(
        self,
        entry: Callable[[Access], Entry],
        name: Callable[[sympy.Symbol], str],
        inside: Callable[[Access], str],
        real: str = "real",
        order: Mapping[str, int] | None = None,
    ) -> None:
        """Take how entries, indices and sizes are written, and when an entry is inside its tensor.

        `real` is the type of values; numbers of `double` carry no suffix. `order` says which tensor
        comes first in a product.
        """
        super().__init__(order)
        self._entry, self._name, self._inside = entry, name, inside
        self._real, self._suffix = real, "_r" if real == "real" else ""

    def value(self, expr: Expr) -> str:
        """Return the text of a value."""
        return self.spell(_folded(expr))

    def _node(self, expr: sympy.Basic) -> Spelled:  # noqa: C901  one case a node
        match expr:
            case Access():
                text, is_integer = self._entry(expr)
                return Spelled(self._cast(text) if is_integer else text, ATOM)
            case Hold():
                return self._node(expr.args[0])
            case Index() | Extent() | Digit():
                return Spelled(self._cast(self.address(expr)), ATOM)
            case Scalar():
                return Spelled(self._name(expr), ATOM)
            case Pad():
                entry, value = self.spell(expr.entry), self.spell(expr.value)
                inside = self._inside(expr.entry)
                return Spelled(f"({inside} ? {entry} : {value})" if inside else entry, ATOM)
            case Delta():
                return Spelled(self.bracket(self._test(expr)), ATOM)
            case sympy.S.NegativeInfinity:
                return Spelled("-INFINITY", ADD)
            case sympy.Expr() if not expr.free_symbols:
                return self._number(expr)
            case sympy.exp():
                return Spelled(self.function("exp", [self.spell(expr.args[0])]), ATOM)
            case sympy.Mul() | sympy.Pow():
                return self._factors(expr)
            case _:
                return super()._node(expr)

    def _cast(self, text: str) -> str:
        return f"{self._real}({text})"

    def _number(self, expr: Expr) -> Spelled:
        number = float(expr)
        text = repr(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)
        if not self._suffix and "." not in text and "e" not in text:
            text += ".0"
        return Spelled(text + self._suffix, ADD if number < 0 else ATOM)

    # ---- products and powers ---------------------------------------------------------------------

    def _factors(self, expr: Expr) -> Spelled:
        """Write the number first, then what is above the line, then what is below it.

        Conditions come before all: where one fails, nothing else is read.
        """
        tests = [f for f in sympy.Mul.make_args(expr) if _is_test(f)]
        if tests and len(tests) < len(sympy.Mul.make_args(expr)):
            rest = sympy.Mul(*(f for f in sympy.Mul.make_args(expr) if f not in tests))
            minus = bool(rest.as_coeff_Mul()[0].is_negative)
            text = self.spell(-rest if minus else rest)
            choice = self.choice(text, " && ".join(map(self._test, tests)), f"0{self._suffix}")
            return Spelled(f"-{choice}", ADD) if minus else Spelled(choice, ATOM)
        number: Expr = sympy.S.One
        above: list[Expr] = []
        below: list[str] = []
        for factor in sympy.Mul.make_args(expr):
            base, exponent = base_and_exponent(factor)
            if not factor.free_symbols:
                number *= factor
            elif exponent.is_negative and exponent != -sympy.S.Half:
                below.append(self._power_of(base, -exponent))
            else:
                above.append(factor)
        minus, number = bool(number.is_negative), abs(number)
        texts = [] if number == 1 and above else [self._number(number).text]
        texts += [self._factor(f) for f in sorted(above, key=self._rank)]
        text = " * ".join(texts)
        if below:
            text += f" / {below[0]}" if len(below) == 1 else f" / ({' * '.join(below)})"
        if minus:
            return Spelled(f"-{text}", ADD)
        return Spelled(text, MUL if below or len(texts) > 1 else ATOM)

    def _factor(self, factor: Expr) -> str:
        base, exponent = base_and_exponent(factor)
        if exponent == 1:
            return self.tight(factor, MUL + 1)
        return self._power_of(base, exponent)

    def _power_of(self, base: Expr, exponent: Expr) -> str:
        if exponent == 1:
            return self.tight(base, MUL + 1)
        if exponent == -sympy.S.Half:
            return f"rsqrt({self.spell(base)})"
        if isinstance(exponent, sympy.Integer):
            return f"power<{int(exponent)}>({self.spell(base)})"
        if isinstance(exponent, sympy.Rational) and exponent.q == 2 and exponent.p > 0:
            root = f"sqrt({self.spell(base)})"
            whole = self._power_of(base, exponent - sympy.S.Half)
            return root if exponent.p == 1 else f"{whole} * {root}"
        return f"pow({self.spell(base)}, {self.spell(exponent)})"

    def _test(self, factor: sympy.Basic) -> str:
        """Return the condition under which a factor is 1; else it is 0."""
        if isinstance(factor, Delta):
            left, right = map(self.address, factor.args)
            return self.relation(left, "==", right)
        condition = factor.args[0]
        assert isinstance(condition, Relational), f"{condition} is not a comparison"
        spell = self.address if all(map(is_whole, condition.args)) else self.spell
        return self.relation(spell(condition.args[0]), sign_of(condition), spell(condition.args[1]))

    # ---- pieces ----------------------------------------------------------------------------------

    def symbol(self, name: str) -> str:
        """Refuse: every symbol has a case of its own."""
        raise TargetError(f"{name} is no entry", way_out="This is a bug in bpgen.")

    def function(self, name: str, args: list[str]) -> str:
        """Return a function of CUDA, or of the templates around the kernels."""
        if name not in _FUNCTIONS:
            raise TargetError(
                f"CUDA has no spelling for {name}",
                way_out="Add it to _FUNCTIONS in targets/cupy/speller.py.",
            )
        return f"{_FUNCTIONS[name]}({', '.join(args)})"

    def _where(self, expr: Where) -> str:
        _, a, b = expr.args
        if named_choice(expr) is not None:
            return super()._where(expr)
        if (a, b) == (1, 0):
            return self.bracket(self._test(expr))
        return self.choice(self.spell(a), self._test(expr), self.spell(b))

    def relation(self, left: str, op: str, right: str) -> str:
        """Return `a > b`."""
        return f"{left} {op} {right}"

    def bracket(self, condition: str) -> str:
        """Return `real(a > b)`."""
        return self._cast(condition)

    def choice(self, a: str, condition: str, b: str) -> str:
        """Return `(c ? a : b)`: only one of the two is computed."""
        return f"({condition} ? {a} : {b})"

    def delta(self, index: str, at: str) -> str:
        """Refuse: `_node` writes δ by addresses."""
        raise AssertionError(f"δ({index},{at}) is a comparison of addresses")

    def reduction(self, word: str, over: Sequence[Index], body: str) -> str:
        """Refuse: a sum is a kernel of its own."""
        raise TargetError(
            f"{word} over {over} of {body} stands inside a formula",
            way_out="This is a bug in bpgen.",
        )

    # ---- index expressions -----------------------------------------------------------------------

    def address(self, expr: sympy.Basic) -> str:
        """Return an index expression, of type `int`."""
        match expr:
            case Index() | Extent():
                return self._name(expr)
            case Access():
                return self._entry(expr).text
            case Digit():
                return self._digit(expr)
            case sympy.Integer():
                return str(expr)
            case sympy.Add():
                return self._offsets(expr)
            case sympy.Mul():
                return " * ".join(self.factor(a) for a in expr.args)
            case _:
                raise TargetError(
                    f"{expr} is no index expression", way_out="This is a bug in bpgen."
                )

    def factor(self, expr: sympy.Basic) -> str:
        """Return an index expression that may be multiplied."""
        text = self.address(expr)
        return f"({text})" if " " in text else text

    def _offsets(self, expr: sympy.Add) -> str:
        head = ""
        for term in sorted(expr.args, key=lambda a: (bool(a.is_number), _is_negative(a), str(a))):
            if _is_negative(term):
                head += f" - {self.address(-term)}" if head else f"-{self.address(-term)}"
            else:
                head += f" + {self.address(term)}" if head else self.address(term)
        return head

    def _digit(self, digit: Digit) -> str:
        text = self.factor(digit.index)
        if digit.stride != 1:
            text += f" / {self.factor(digit.stride)}"
        return f"{text} % {self.factor(digit.extent)}"


def _is_test(factor: sympy.Basic) -> bool:
    """Whether a factor is 1 under a condition, else 0."""
    return isinstance(factor, Delta) or (isinstance(factor, Where) and factor.args[1:] == (1, 0))


def is_whole(expr: sympy.Basic) -> bool:
    """Whether an expression is made of indices, sizes and integers alone."""
    if isinstance(expr, Index | Extent | sympy.Integer | Digit):
        return True
    return isinstance(expr, sympy.Add | sympy.Mul) and all(map(is_whole, expr.args))


def _is_negative(term: sympy.Basic) -> bool:
    return bool(term.as_coeff_Mul()[0].is_negative)


def _folded(expr: sympy.Basic) -> sympy.Basic:
    """Return a formula with the extents that are known as numbers, but for those in addresses."""
    if isinstance(expr, Extent):
        return expr if expr.value is None else sympy.Integer(expr.value)
    if not expr.args or isinstance(expr, Access | Digit | Delta | Index):
        return expr
    args = [_folded(a) for a in expr.args]
    return expr if all(a is b for a, b in zip(args, expr.args, strict=True)) else expr.func(*args)

"""Numbers known before a batch is seen, as Python expressions: `2 / (N * K)`."""

from __future__ import annotations

from collections.abc import Sequence

import sympy
from sympy import Expr

from bpgen.errors import TargetError
from bpgen.ir.expr import Where
from bpgen.ir.index import Extent, Index, Scalar
from bpgen.spell import Speller
from bpgen.spell.speller import POW

_MATH = {
    "exp",
    "floor",
    "log",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "tanh",
    "sinh",
    "cosh",
    "atan",
    "erf",
    "log1p",
    "expm1",
}


class ScalarSpeller(Speller):
    """Spell formulas of sizes and of Python numbers as Python code."""

    def access(self, name: str, indices: list[str]) -> str:
        """Return the name of a Python number."""
        assert not indices, f"{name} is not a number"
        return name

    def symbol(self, name: str) -> str:
        """Return the name of a size; π as `math.pi`."""
        return {"pi": "math.pi"}.get(name, name)

    def number(self, number: sympy.Rational) -> str:
        """Return an integer."""
        return str(number)

    def product(self, factors: list[str]) -> str:
        """Return `a * b`."""
        return " * ".join(factors)

    def fraction(self, above: str, below: str, *, alone: bool) -> str:
        """Return `a / b`."""
        return f"{above} / {below}" if alone else f"{above} / ({below})"

    def power(self, base: str, exponent: Expr) -> str:
        """Return `x**2`."""
        return f"{base}**{self.tight(exponent, POW)}"

    def root(self, radicand: Expr) -> str:
        """Return `math.sqrt(x)`."""
        return f"math.sqrt({self.spell(radicand)})"

    def function(self, name: str, args: list[str]) -> str:
        """Return a function of Python's `math`, or `max` and `min`."""
        if name in {"max", "min"}:
            return f"{name}({', '.join(args)})"
        if name not in _MATH:
            raise TargetError(
                f"Python's math has no {name}", way_out="Extend targets/numpy/scalar.py."
            )
        return f"math.{name}({', '.join(args)})"

    def reduction(self, word: str, over: Sequence[Index], body: str) -> str:
        """Refuse: a sum is a statement of its own."""
        raise TargetError(
            f"{word} over {over} of {body} is not a number", way_out="This is a bug in bpgen."
        )

    def delta(self, index: str, at: str) -> str:
        """Return 1.0 or 0.0."""
        return f"float({index} == {at})"

    def digit(self, index: str, stride: str, extent: str) -> str:
        """Return `t // 4 % 8`."""
        return f"{index} % {extent}" if stride == "1" else f"{index} // {stride} % {extent}"

    def relation(self, left: str, op: str, right: str) -> str:
        """Return `a > b`."""
        return f"{left} {op} {right}"

    def bracket(self, condition: str) -> str:
        """Return `float(a > b)`."""
        return f"float({condition})"

    def choice(self, a: str, condition: str, b: str) -> str:
        """Return `(a if c else b)`."""
        return f"({a} if {condition} else {b})"


def scalar(expr: sympy.Basic) -> str:
    """Return a number as Python text; what holds no size is folded, in double precision."""
    expr = sympy.sympify(expr)
    if not expr.free_symbols and not expr.is_Rational:
        return repr(float(expr))
    if expr.is_Rational and (not expr.is_Integer or abs(expr) > 2**53):
        return repr(float(expr))
    has_sign = expr.is_positive or expr.is_negative
    if has_sign and _has_root(expr) and not _has_root(expr**2):
        sign = "-" if expr.is_negative else ""
        return f"{sign}math.sqrt({ScalarSpeller().spell(expr**2)})"
    text = ScalarSpeller().spell(expr)
    return text[1:-1] if isinstance(expr, Where) and text.startswith("(") else text


def _has_root(expr: Expr) -> bool:
    return any(e.exp.is_Rational and e.exp.q == 2 for e in expr.atoms(sympy.Pow))


def is_scalar(expr: sympy.Basic) -> bool:
    """Whether `expr` is made of numbers, sizes and Python numbers alone."""
    return all(isinstance(s, Extent | Scalar) for s in expr.free_symbols)

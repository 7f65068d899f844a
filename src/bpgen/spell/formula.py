"""A formula as a line of Unicode: `∂L/∂W1[d,h] = Σ_n x[n,d] ∂L/∂z1[n,h]`."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Expr

from bpgen.ir.index import Index
from bpgen.spell.derivative import Derivative, derivative_of
from bpgen.spell.speller import ATOM, Speller

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_RELATIONS = {">=": "≥", "<=": "≤"}


class FormulaSpeller(Speller):
    """Spell formulas as text."""

    def access(self, name: str, indices: list[str]) -> str:
        """Return `x[n,d]`; a cotangent is ∂L/∂x[n,d], and a scalar has no brackets."""
        found = derivative_of(name, self._derivatives)
        head = _quotient(found) if found else name
        return f"{head}[{','.join(map(_close, indices))}]" if indices else head

    def symbol(self, name: str) -> str:
        """Return the name; π as π."""
        return {"pi": "π", "oo": "∞"}.get(name, name)

    def fraction(self, above: str, below: str, *, alone: bool) -> str:
        """Return `a/b`."""
        return f"{above}/{below}" if alone else f"{above}/({below})"

    def power(self, base: str, exponent: Expr) -> str:
        """Return `x²`, or `x^(3/2)`."""
        if exponent.is_Integer:
            return base + str(exponent).translate(_SUPERSCRIPT)
        text, binds = self._node(exponent)
        return f"{base}^{text}" if binds == ATOM else f"{base}^({text})"

    def root(self, radicand: Expr) -> str:
        """Return `√x`."""
        return f"√{self.tight(radicand, ATOM)}"

    def function(self, name: str, args: list[str]) -> str:
        """Return `f(x)`; the absolute value as `|x|`."""
        if name == "abs":
            return f"|{args[0]}|"
        return f"{name}({', '.join(args)})"

    def reduction(self, word: str, over: Sequence[Index], body: str) -> str:
        """Return `Σ_n body`."""
        names = ",".join(map(str, over))
        return f"{word}_{names} {body}" if len(over) == 1 else f"{word}_{{{names}}} {body}"

    def relation(self, left: str, op: str, right: str) -> str:
        """Return `a > b`."""
        return f"{left} {_RELATIONS.get(op, op)} {right}"

    def delta(self, index: str, at: str) -> str:
        """Return `δ(k, digit[n])`."""
        return f"δ({index},{at})"

    def padded(self, entry: str, value: str) -> str:
        """Return `x[n,a-1] (0 outside)`."""
        return f"{entry} ({value} outside)"

    def digit(self, index: str, stride: str, extent: str) -> str:
        """Return `d // 8 % 8`, without what changes nothing."""
        return f"{index} // {stride} % {extent}" if stride != "1" else f"{index} % {extent}"

    def bracket(self, condition: str) -> str:
        """Return `[z > 0]`."""
        return f"[{condition}]"

    def choice(self, a: str, condition: str, b: str) -> str:
        """Return `(a if z > 0 else b)`."""
        return f"({a} if {condition} else {b})"


def _quotient(found: Derivative) -> str:
    """Return `∂L/∂x`, `∂x/∂ε` or `∂²L/∂ε∂x`."""
    order, times = (
        str(n).translate(_SUPERSCRIPT) if n > 1 else "" for n in (found.order, found.times)
    )
    below = f"∂ε{times}" if found.times else ""
    return f"∂{order}{found.above}/{below}" + (f"∂{found.of}" if found.of else "")


def _close(index: str) -> str:
    """Return `t-1` for `t - 1`; a longer index keeps its spaces."""
    words = index.split(" ")
    return "".join(words) if len(words) == 3 and words[1] in "+-" else index

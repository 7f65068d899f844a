r"""A formula as LaTeX: `\frac{\partial L}{\partial W_{1}}[d,h] = \sum_{n} …`."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Expr

from bpgen.ir.index import Index
from bpgen.ir.tangent import SCALAR
from bpgen.spell.derivative import Derivative, derivative_of
from bpgen.spell.speller import Speller

_NAMED = {"exp", "log", "tanh", "sin", "cos", "tan", "sinh", "cosh", "max", "min"}
_RELATIONS = {">=": r"\ge", "<=": r"\le", ">": ">", "<": "<", "==": "=", "!=": r"\ne"}


class LatexSpeller(Speller):
    """Spell formulas as LaTeX, for the mathematics mode of any TeX and of MathJax."""

    def access(self, name: str, indices: list[str]) -> str:
        r"""Return `x_{n,d}`; a cotangent is `\frac{\partial L}{\partial x_{n,d}}`."""
        found = derivative_of(name, self._derivatives)
        if found:
            return self._derivative(found, indices)
        at = "_{" + ",".join(indices) + "}" if indices else ""
        return self._name(name) + at

    def symbol(self, name: str) -> str:
        """Return a letter as it is, a longer name upright."""
        primes = name.count("′")
        constants = {"pi": r"\pi", "oo": r"\infty"}
        return constants.get(name, self._name(name.rstrip("′"))) + "'" * primes

    def decimal(self, text: str) -> str:
        r"""Return `10^{-5}` for 1e-05."""
        mantissa, e, exponent = text.partition("e")
        if not e:
            return text
        power = f"10^{{{int(exponent)}}}"
        return power if mantissa == "1" else rf"{mantissa} \cdot {power}"

    def product(self, factors: list[str]) -> str:
        r"""Return factors with a thin space between them."""
        return r"\,".join(factors)

    def fraction(self, above: str, below: str, *, alone: bool) -> str:  # noqa: ARG002  a bar needs no brackets
        r"""Return `\frac{a}{b}`."""
        return rf"\frac{{{above}}}{{{below}}}"

    def power(self, base: str, exponent: Expr) -> str:
        """Return `x^{2}`."""
        return f"{{{base}}}^{{{self.spell(exponent)}}}"

    def root(self, radicand: Expr) -> str:
        r"""Return `\sqrt{x}`."""
        return rf"\sqrt{{{self.spell(radicand)}}}"

    def function(self, name: str, args: list[str]) -> str:
        r"""Return `\exp\left(x\right)`; the absolute value between bars."""
        if name == "abs":
            return rf"\left|{args[0]}\right|"
        head = rf"\{name}" if name in _NAMED else rf"\operatorname{{{name}}}"
        return rf"{head}\left({', '.join(args)}\right)"

    def reduction(self, word: str, over: Sequence[Index], body: str) -> str:
        r"""Return `\sum_{n} body`."""
        head = {"Σ": r"\sum", "max": r"\max"}.get(word, rf"\operatorname{{{word}}}")
        return f"{head}_{{{','.join(self.symbol(str(i)) for i in over)}}} {body}"

    def relation(self, left: str, op: str, right: str) -> str:
        """Return a comparison."""
        return f"{left} {_RELATIONS[op]} {right}"

    def turns(self, index: str, first: str, last: str) -> str:
        r"""Return `for $t = 0, \dots, T - 1$:`, a line of text."""
        return rf"for ${index} = {first}, \dots, {last}$:"

    def delta(self, index: str, at: str) -> str:
        r"""Return `\delta_{k,y}`."""
        return rf"\delta_{{{index},{at}}}"

    def padded(self, entry: str, value: str) -> str:
        r"""Return the entry with a remark: `x_{n,a-1}\ (0\text{ outside})`."""
        return rf"{entry}\ ({value}\text{{ outside}})"

    def digit(self, index: str, stride: str, extent: str) -> str:
        r"""Return the digit of an index by floor and modulo."""
        quotient = index if stride == "1" else rf"\left\lfloor {index} / {stride} \right\rfloor"
        return rf"{quotient} \bmod {extent}"

    def bracket(self, condition: str) -> str:
        """Return Iverson's bracket."""
        return rf"\left[{condition}\right]"

    def choice(self, a: str, condition: str, b: str) -> str:
        """Return two cases."""
        return rf"\begin{{cases}} {a} & {condition} \\ {b} & \text{{otherwise}} \end{{cases}}"

    def parentheses(self, text: str) -> str:
        """Return a text in brackets of its height."""
        return rf"\left({text}\right)"

    def _derivative(self, found: Derivative, indices: list[str]) -> str:
        r"""Return `\frac{\partial L}{\partial x_{n}}`; the indices stand at the tensor."""
        order, times = (f"^{{{n}}}" if n > 1 else "" for n in (found.order, found.times))
        below = rf"\partial \varepsilon{times}" if found.times else ""
        if not found.of:
            above = self.access(found.above, indices)
        else:
            above = self._name(found.above)
            below = rf"{below}\," if below else ""
            below += rf"\partial {self.access(found.of, indices)}"
        return rf"\frac{{\partial{order} {above}}}{{{below}}}"

    def _name(self, name: str) -> str:
        if len(name) == 1:
            return r"\sigma" if name == SCALAR else name
        return rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"

"""How the pieces of a formula look: what a way of writing decides, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import sympy
from sympy import Expr

from bpgen.ir.index import Index


class Pieces:
    """The pieces; each way of writing gives them a look."""

    def access(self, name: str, indices: list[str]) -> str:
        """Return an entry of a tensor."""
        raise NotImplementedError

    def symbol(self, name: str) -> str:
        """Return an index, an extent or a constant."""
        raise NotImplementedError

    def number(self, number: sympy.Rational) -> str:
        """Return an integer."""
        return str(number)

    def decimal(self, text: str) -> str:
        """Return a decimal number, which Python writes as `text`."""
        return text

    def product(self, factors: list[str]) -> str:
        """Return factors side by side."""
        return " ".join(factors)

    def fraction(self, above: str, below: str, *, alone: bool) -> str:
        """Return a division; `alone` says that the denominator needs no brackets."""
        raise NotImplementedError

    def power(self, base: str, exponent: Expr) -> str:
        """Return a power."""
        raise NotImplementedError

    def root(self, radicand: Expr) -> str:
        """Return a square root."""
        raise NotImplementedError

    def function(self, name: str, args: list[str]) -> str:
        """Return a function of its arguments."""
        raise NotImplementedError

    def reduction(self, word: str, over: Sequence[Index], body: str) -> str:
        """Return Σ, max or argmax over indices."""
        raise NotImplementedError

    def relation(self, left: str, op: str, right: str) -> str:
        """Return a comparison."""
        raise NotImplementedError

    def turns(self, index: str, first: str, last: str) -> str:
        """Return the head of a loop: the values its index takes, in order."""
        return f"for {index} = {first} … {last}".replace(" - ", "-")

    def delta(self, index: str, at: str) -> str:
        """Return Kronecker's δ."""
        raise NotImplementedError

    def padded(self, entry: str, value: str) -> str:
        """Return an entry, and what stands for it outside its tensor."""
        raise NotImplementedError

    def digit(self, index: str, stride: str, extent: str) -> str:
        """Return a digit of an index in a mixed radix."""
        raise NotImplementedError

    def bracket(self, condition: str) -> str:
        """Return 1 where a condition holds, else 0."""
        raise NotImplementedError

    def choice(self, a: str, condition: str, b: str) -> str:
        """Return a choice between two formulas."""
        raise NotImplementedError

    def parentheses(self, text: str) -> str:
        """Return a text in round brackets."""
        return f"({text})"

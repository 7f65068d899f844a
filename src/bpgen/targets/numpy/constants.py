"""What code calls a number that is made once: by what it is, or else by what it is first for.

    C_0_9   0.9          C_2_OVER_BATCH_K   2 / (BATCH * K)          C_SQRT2_OVER_2   √2/2

A number of more words than one can read, such as 0.1 N/max(1, N-1), is called after the tensor in
whose formula it stands. So a name changes with its own formula, and not with others.
"""

from __future__ import annotations

import re
from decimal import Decimal

from sympy import Expr

from bpgen.spell import FormulaSpeller
from bpgen.targets.numpy.scalar import ScalarSpeller, scalar

_NUMBERS = {"0": "ZERO", "1": "ONE", "2": "TWO", "0.5": "HALF"}
_LONGEST = 28
_DIGITS = 8  # of one word
# A quotient of two products, each of numbers, sizes and functions of one of them.
_PRODUCT = r"[\w.]+(?: \* [\w.]+)*"
_QUOTIENT = re.compile(rf"(-?)({_PRODUCT})(?: / (?:([\w.]+)|\(({_PRODUCT})\)))?")


def name_of(number: Expr, tensor: str) -> str:
    """Return what code calls a number in the formula of `tensor`."""
    text = scalar(number)
    if text in _NUMBERS:
        return _NUMBERS[text]
    words = _words(_plain(text)) if number.is_Rational else _words(ScalarSpeller().spell(number))
    name = "_".join(("C", *words)).upper()
    if not words or len(name) > _LONGEST or any(len(word) > _DIGITS for word in words):
        return f"C_{tensor}".upper()
    return name


def formula_of(number: Expr) -> str:
    """Return the formula of a number that code has in digits; "" where code has the formula."""
    is_folded = not number.free_symbols and not number.is_Rational
    return FormulaSpeller().spell(number) if is_folded else ""


def _plain(number: str) -> str:
    """Write a number without an exponent: 0.00001."""
    return f"{Decimal(number):f}"


def _words(text: str) -> list[str]:
    """Return a quotient in words; none if it is something else."""
    joined = re.sub(r"math\.(\w+)\((?:math\.)?(\w+)\)", r"\1\2", text).replace("math.pi", "pi")
    found = _QUOTIENT.fullmatch(joined)
    if found is None:
        return []
    sign, above, *below = found.groups()
    over = [part for part in below if part]
    parts = [*(["minus"] if sign else []), above, *(["over", *over] if over else [])]
    return [word for part in parts for word in re.findall(r"\w+", part)]

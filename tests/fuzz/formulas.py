"""Scalar formulas without poles, as text; `z` stands for an entry, `t` for another."""

import re

SMOOTH = (
    "sympy.tanh(z)",
    "sympy.exp(-z**2)",
    "sympy.exp(sympy.tanh(z))",
    "sympy.sin(z)",
    "1 / (1 + z**2)",
    "log1p(z**2)",
    "sympy.sqrt(1 + z**2)",
    "sympy.tanh(z)**3 / 5",
    "sympy.erf(z)",
    "sympy.atan(z)",
    "z / (1 + sympy.exp(-z))",
    "expm1(-z**2)",
    "sympy.cosh(sympy.tanh(z))",
    "(z**2 + 1)**sympy.Rational(-3, 2)",
    "0.3 * z - 2",
    "2**sympy.tanh(z)",
    "-z",
    "sympy.log(2 + sympy.cos(z))",
)
SWITCHED = (
    "sympy.Max(z, 0)",
    "sympy.Abs(z)",
    "sympy.Min(z, sympy.tanh(z))",
    "bp.where(z > 0, z**2 / 5, sympy.sin(z))",
    "sympy.sign(z) * z",
    "sympy.Max(z, -z / 3)",
)
PAIRS = (
    "z * t",
    "z + t",
    "z - t",
    "z / (1 + t**2)",
    "sympy.tanh(z * t)",
    "sympy.exp(-(z - t)**2)",
    "t * sympy.sin(z) + z",
    "(1 + z**2)**sympy.tanh(t)",
    "sympy.Max(z, t)",
    "bp.where(t > 0, z, z * t)",
)


def of(formula, z, t=""):
    """Write a formula of entries."""
    return re.sub(r"\b[zt]\b", lambda found: {"z": z, "t": t}[found[0]], formula)

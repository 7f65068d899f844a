"""Formulas as a reader writes them: order, signs, roots, fractions, choices."""

import pytest
import sympy
from sympy.codegen.cfunctions import log1p

from bpgen.ir.equation import Equation, Term
from bpgen.ir.expr import Delta, Digit, Where, access
from bpgen.ir.index import index
from bpgen.ir.tensor import Role, Tensor
from bpgen.spell import FormulaSpeller, LatexSpeller, order_of

n, d, h = index("n", None), index("d", 3), index("h", 5)
TENSORS = [
    Tensor("x", (n, d), Role.INPUT),
    Tensor("W", (d, h), Role.PARAMETER),
    Tensor("m", (n,), Role.ACTIVATION),
    Tensor("z", (n, h), Role.ACTIVATION),
    Tensor("d_z", (n, h), Role.COTANGENT),
]
x, W, m, z, d_z = (t.canonical for t in TENSORS)
text = FormulaSpeller(order_of(TENSORS)).spell
latex = LatexSpeller(order_of(TENSORS)).spell


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (z - m, "z[n,h] - m[n]"),
        (-m + z, "z[n,h] - m[n]"),
        (d_z * W * 2, "2 W[d,h] ∂L/∂z[n,h]"),
        ((1 - z**2) * d_z, "(1 - z[n,h]²) ∂L/∂z[n,h]".replace("1 - z[n,h]²", "1 - z[n,h]²")),
        (z / m, "z[n,h]/m[n]"),
        (z / (m * n.extent), "z[n,h]/(N m[n])"),
        (-(z**3) * d_z / 2, "-z[n,h]³ ∂L/∂z[n,h]/2"),
        (1 / sympy.sqrt(m + sympy.Rational(1, 100000)), "1/√(m[n] + 1e-05)"),
        (sympy.Rational(44715, 1000000) * z, "0.044715 z[n,h]"),
        (Where(z > 0, 1, 0), "[z[n,h] > 0]"),
        (Where(z > 0, z, 0), "max(0, z[n,h])"),
        (Where(z > 0, z, -z), "|z[n,h]|"),
        (Where(z > 1, m, 0), "(m[n] if z[n,h] > 1 else 0)"),
        (Delta(h, access("y", [n])), "δ(h,y[n])"),
        (Digit(d, 4, 3), "d // 4 % 3"),
        (log1p(sympy.exp(-z)), "log1p(exp(-z[n,h]))"),
        (sympy.exp(z) ** 2, "exp(2 z[n,h])"),
        (sympy.sqrt(2 / sympy.pi), "√2/√π"),
    ],
)
def test_a_formula_reads_as_it_is_written_by_hand(expr, expected):
    assert text(expr) == expected


def test_a_sum_stands_first():
    z_tensor = TENSORS[3]
    equation = Equation(z_tensor, (Term(m), Term(x * W, (d,))))
    spelled = FormulaSpeller(order_of(TENSORS)).equation(equation)
    assert spelled in {
        "z[n,h] = m[n] + Σ_d x[n,d] W[d,h]",
        "z[n,h] = Σ_d x[n,d] W[d,h] + m[n]",
    }


def test_latex_is_balanced_and_has_no_raw_underscore_in_names():
    long = access("fc1_W", [d, h]) * sympy.sqrt(z) / m + Where(z > 1, m, z)
    spelled = latex(long)
    assert spelled.count("{") == spelled.count("}")
    assert r"fc1\_W" in spelled
    assert r"\frac" in spelled


def test_a_primed_index_is_printed_with_its_prime():
    assert text(access("z", [n.primed(), h])) == "z[n′,h]"


def test_latex_writes_small_numbers_as_powers_of_ten():
    assert latex(z + sympy.Rational(1, 100000)).endswith("+ 10^{-5}")
    assert latex(z * sympy.Rational(25, 10**7)) == r"2.5 \cdot 10^{-6}\,z_{n,h}"

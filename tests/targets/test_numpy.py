"""Every kind of statement, spelled for numpy, computes what the interpreter computes."""

import math

import numpy as np
import pytest
import sympy
from sympy.codegen.cfunctions import expm1, log1p

from bpgen.errors import TargetError
from bpgen.ir.equation import Equation, Op, Term
from bpgen.ir.expr import Delta, Digit, Where, access
from bpgen.ir.index import index
from bpgen.ir.tensor import Role, Tensor
from bpgen.lower.statements import step
from bpgen.targets.numpy.target import NumpyTarget
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import FLOAT64

n, d, h, k, g = (index(i, size) for i, size in zip("ndhkg", (2, 3, 5, 7, 11), strict=True))
u, v, e = (index(i, size) for i, size in zip("uve", (2, 3, 9), strict=True))
wide = index("z", 15)
INDICES = (n, d, h, k, g, u, v, e, wide)
SIZES = {i.extent.name: i.extent.value or 0 for i in INDICES}
TENSORS = {
    t.name: t
    for t in [
        Tensor("x", (n, d), Role.INPUT),
        Tensor("W", (d, h), Role.INPUT),
        Tensor("Q", (n, d, h), Role.INPUT),
        Tensor("P", (n, k, h), Role.INPUT),
        Tensor("S", (n, g, k, h), Role.INPUT),
        Tensor("A", (d, d), Role.INPUT),
        Tensor("R", (h, d), Role.INPUT),
        Tensor("b", (h,), Role.INPUT),
        Tensor("m", (n,), Role.INPUT),
        Tensor("y", (n,), Role.LABEL, below=5),
        Tensor("at", (n, h), Role.LABEL, below=3),
        Tensor("whole", (n, g, k, h), Role.LABEL, below=3),
    ]
}
x, W, b, m = (TENSORS[k].canonical for k in "xWbm")
Q, y = TENSORS["Q"].canonical, TENSORS["y"].canonical


class Memory:
    """A workspace that makes each register when it is first named."""

    def __init__(self, target):
        for register in target.scratch.shapes:
            kind = {"float": float, "bool": bool, "int": np.intp}[register.kind]
            setattr(
                self, register.name, np.empty([SIZES[i.extent.name] for i in register.axes], kind)
            )
        sizes = {"np": np, "dtype": float, "ERF_PIECE": 16, **SIZES}
        for name, made in target.scratch.constants.items():
            setattr(self, name, eval(made, sizes))  # noqa: S307  a line that bpgen spelled itself


def values():
    rng = np.random.default_rng(5)
    found = {}
    for tensor in TENSORS.values():
        shape = [SIZES[i.extent.name] for i in tensor.indices]
        whole = tensor.below is not None
        found[tensor.name] = rng.integers(5, size=shape) if whole else rng.normal(size=shape)
    return found


def run(equation):
    """Return what the emitted lines compute, and what the equation means."""
    given = values()
    tensors = {**TENSORS, equation.out.name: equation.out}
    names = {**{k: k for k in TENSORS}, equation.out.name: "out"}
    target = NumpyTarget(names, tensors)
    lines = target.lines(step(equation, tensors))
    kind = np.intp if equation.out.is_integer else float
    out = np.full([SIZES[i.extent.name] for i in equation.out.indices], 99, kind)
    space = {"np": np, "out": out, "a": Memory(target), **SIZES, **given, "erf": erf_into}
    exec("\n".join(lines), space)  # noqa: S102  lines that bpgen spelled itself
    extents = {i.extent: SIZES[i.extent.name] for i in INDICES}
    expected = evaluate([equation], given, extents, FLOAT64)[equation.out.name]
    return space["out"], expected, lines


def erf_into(a, scratch, out):
    out[...] = np.vectorize(math.erf)(a)


def out(*indices, role=Role.ACTIVATION):
    return Tensor("out", indices, role)


twice = x + m  # the same subformula twice, of two index sets
MAPS = [
    x * 2 + 1,
    x - m,
    m - x,
    -x - m,
    x / m,
    1 / x,
    x**2 + x**3 - x**4,
    x**-2,
    sympy.sqrt(x**2 + 1),
    1 / sympy.sqrt(x**2 + 1),
    (x**2 + 1) ** sympy.Rational(3, 2),
    sympy.exp(twice) / (1 + sympy.exp(twice)),
    sympy.tanh(twice) * (1 - sympy.tanh(twice) ** 2),
    sympy.sin(x) + sympy.cos(x) + sympy.erf(x) + log1p(x**2) + expm1(x),
    sympy.log(x**2 + 1),
    Where(x > 0, x, 0),
    Where(x > m, x, m),
    Where(x <= 0, x, 0),
    Where(x > 0, x, -x),
    Where(x > 0, 1, Where(x < 0, -1, 0)),
    Where(x > 0, 1, 0) * m,
    Where(x > m, sympy.log(x**2 + 1), 7),
    Where(x > 0, 1, sympy.Rational(1, 10)),
    x * m * 3 / sympy.pi,
    (x - m) * (x - m) * m / 5,
    m * Q * 0 + x,
    n * x + d,
    Where(d <= n, x, 0),
    Where(d < n, sympy.exp(x), m),
    sympy.sin(n / sympy.Integer(2)) * x,
    10000 ** (-Digit(d, 1, 2) / d.extent) + Digit(d, 2, 2) * x,
]


@pytest.mark.parametrize("body", MAPS, ids=str)
def test_a_map_computes_its_formula(body):
    found, expected, lines = run(Equation(out(n, d), (Term(body),)))
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-15, err_msg="\n".join(lines))


@pytest.mark.parametrize(
    "equation",
    [
        Equation(out(n, h), (Term(x * W, (d,)), Term(b))),
        Equation(out(h, n), (Term(x * W, (d,)),)),
        Equation(out(d, h), (Term(access("x", [n, d]) * access("out2", [n, h]), (n,)),)),
        Equation(out(n), (Term(x**2, (d,)),)),
        Equation(out(d), (Term(x**2 / n.extent, (n,)),)),
        Equation(out(h, n), (Term(Q, (d,)),)),
        Equation(out(n, h), (Term(x, (d,)),)),
        Equation(out(n), (Term(Q * b, (d, h)),)),
        Equation(out(), (Term(Q**2 * sympy.Rational(1, 3), (n, d, h)),)),
        Equation(out(n, h), (Term(m * x * W, (d,)), Term(Q, (d,)), Term(b * m))),
        Equation(out(d), (Term(access("A", [d, d])),)),
        Equation(out(h), (Term(Delta(h, y) * m, (n,)),)),
        Equation(out(n, d, h), (Term(Q * m), Term(x * b))),
        Equation(out(n, h), (Term(x * W * Q, (d,)),)),
        Equation(out(d, n, k), (Term(Q * access("P", [n, k, h]), (h,)),)),
        Equation(out(d, k, n), (Term(Q * access("P", [n, k, h]), (h,)),)),
    ],
    ids=lambda e: str(e.terms[0]),
)
def test_a_sum_computes_its_formula(equation):
    if "out2" in equation.reads():
        swap = {
            a: access("Q", [n, sympy.Integer(1), h])
            for a in equation.accesses()
            if a.name == "out2"
        }
        equation = Equation(equation.out, tuple(t.replaced(swap) for t in equation.terms))
    found, expected, lines = run(equation)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14, err_msg="\n".join(lines))


@pytest.mark.parametrize("axis", [(n, (d,)), (d, (n,))])
def test_a_maximum_and_its_address(axis):
    kept, over = axis
    found, expected, _ = run(Equation(out(kept), (Term(x, over),), Op.MAX))
    np.testing.assert_array_equal(found, expected)
    address = Equation(out(kept, role=Role.ADDRESS), (Term(x, over),), Op.ARGMAX)
    found, expected, _ = run(address)
    np.testing.assert_array_equal(found, expected)


STACKS = [
    Equation(out(d, n, k), (Term(Q * access("P", [n, k, h]), (h,)),)),
    Equation(out(n, d, k, g), (Term(Q * access("S", [n, g, k, h]), (h,)),)),
    Equation(
        out(k, n, g),
        (Term(access("Q", [n, sympy.Integer(1), h]) * access("S", [n, g, k, h]), (h,)),),
    ),
]


@pytest.mark.parametrize("equation", STACKS, ids=lambda e: str(e.out.canonical))
def test_a_stack_of_products_needs_no_plain_loop(equation):
    found, expected, lines = run(equation)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14, err_msg="\n".join(lines))
    assert not any("einsum" in line for line in lines)


def test_a_mask_multiplies_only_what_is_finite():
    body = Where(x > 0, m * sympy.exp(m), 0)
    *_, lines = run(Equation(out(n, d), (Term(body),)))
    assert "where=" in lines[-1]


def test_an_entry_whose_address_is_data():
    found, expected, _ = run(Equation(out(n), (Term(access("Q", [n, sympy.Integer(2), y])),)))
    np.testing.assert_array_equal(found, expected)


def test_rows_of_a_table():
    found, expected, _ = run(Equation(out(n, d), (Term(access("R", [y, d])),)))
    np.testing.assert_array_equal(found, expected)


def test_one_entry_of_a_vector():
    found, expected, _ = run(Equation(out(n), (Term(access("b", [y])),)))
    np.testing.assert_array_equal(found, expected)


def test_a_result_may_be_one_of_its_own_operands():
    """θ ← θ - 2 g + θ g: what the output holds is read before it is overwritten."""
    theta, g = Tensor("θ", (d,), Role.PARAMETER), access("g", [d])
    body = theta.canonical - 2 * g + theta.canonical * g
    target = NumpyTarget({"θ": "p", "g": "g"}, {})
    lines = target.lines(step(Equation(theta, (Term(body),)), {}))
    p, gradient = np.array([1.0, 2.0, 3.0]), np.array([5.0, 7.0, 11.0])
    expected = p - 2 * gradient + p * gradient
    space = {"np": np, "p": p, "g": gradient, "a": Memory(target)}
    exec("\n".join(lines), space)  # noqa: S102  lines that bpgen spelled itself
    np.testing.assert_allclose(p, expected, rtol=1e-15)


def test_a_function_without_a_spelling_names_the_file_to_edit():
    with pytest.raises(TargetError, match="numpy has no spelling for gamma") as caught:
        run(Equation(out(n, d), (Term(sympy.gamma(x)),)))
    assert "targets/numpy" in str(caught.value)


def test_a_view_reads_all_digits_of_an_index_or_is_refused():
    half = access("m", [Digit(k, 3, 2)])
    with pytest.raises(TargetError, match="no view reads m"):
        run(Equation(out(k), (Term(half * 2),)))


@pytest.mark.parametrize("op", [Op.MAX, Op.ARGMAX])
@pytest.mark.parametrize("window", [u, v], ids=str)
def test_the_largest_of_a_few_is_found_without_a_loop_over_them(window, op):
    # Small integers: most windows have a tie, which goes to the first.
    entries = access("whole", [n, e + window, k, h])
    role = Role.ADDRESS if op is Op.ARGMAX else Role.ACTIVATION
    equation = Equation(out(n, e, k, h, role=role), (Term(entries, (window,)),), op)
    found, expected, lines = run(equation)
    np.testing.assert_array_equal(found, expected)
    assert not any(".reduce(" in line or "np.argmax(" in line for line in lines)


def test_an_address_spreads_over_a_short_axis_entry_by_entry():
    at = access("at", [n, h])
    body = Delta(v, at) * Q.xreplace({d: sympy.Integer(1)})
    found, expected, lines = run(Equation(out(n, h, v), (Term(body),)))
    np.testing.assert_array_equal(found, expected)
    assert len(lines) == 2 * 3  # a comparison and a product for each entry


def test_digits_in_another_order_are_turned_before_they_are_joined():
    read = access("Q", [n, Digit(wide, 1, d.extent), Digit(wide, d.extent, h.extent)])
    found, expected, _ = run(Equation(out(n, wide), (Term(read * 2),)))
    np.testing.assert_array_equal(found, expected)

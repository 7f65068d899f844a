"""A stack of tiny matrices is written term by term, and computes what its formula means."""

import numpy as np
import pytest

from bpgen.ir.equation import Equation, Term
from bpgen.ir.index import index
from bpgen.ir.tensor import Role, Tensor
from bpgen.lower.statements import step
from bpgen.targets.numpy.target import NumpyTarget
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import FLOAT64

n, t, h, f, g, w = (index(i, size) for i, size in zip("nthfgw", (5, 3, 7, 2, 2, 13), strict=True))
SIZES = {"N": 5, "T": 3, "H": 7, "F": 2, "G": 2, "W": 13}
CASES = {
    "turn": ((t, h, g, f), (n, t, h, f), (n, t, h, g), (f,)),
    "turned back": ((t, h, g, f), (n, t, h, g), (n, t, h, f), (g,)),
    "first": ((n, g, f), (n, h, f), (g, n, h), (f,)),
    "weighed": ((n, f), (n, f, h), (n, h), (f,)),
    "scalar product": ((n, t, f), (t, n, f), (n, t), (f,)),
    "both summed": ((n, g, f), (n, h, f, g), (n, h), (f, g)),
}


def lines_of(a, b, out, over):
    tensors = {
        "a": Tensor("a", a, Role.INPUT),
        "b": Tensor("b", b, Role.INPUT),
        "out": Tensor("out", out, Role.ACTIVATION),
    }
    body = tensors["a"].canonical * tensors["b"].canonical
    equation = Equation(tensors["out"], (Term(body, over),))
    target = NumpyTarget({name: name for name in tensors}, tensors, "s")
    return target.lines(step(equation, tensors)), equation, target.scratch


@pytest.mark.parametrize("case", CASES)
def test_it_computes_the_sum(case):
    a, b, out, _ = CASES[case]
    lines, equation, scratch = lines_of(*CASES[case])
    assert all(line.startswith(("np.multiply(", "np.add(")) for line in lines)
    rng = np.random.default_rng(3)
    given = {
        name: rng.normal(size=[SIZES[i.extent.name] for i in axes])
        for name, axes in (("a", a), ("b", b))
    }

    class Scratch:
        """The registers of the lines."""

    for register in scratch.shapes:
        setattr(Scratch, register.name, np.empty([SIZES[i.extent.name] for i in register.axes]))
    found = np.full([SIZES[i.extent.name] for i in out], np.nan)
    exec("\n".join(lines), {"np": np, "out": found, "s": Scratch, **given})  # noqa: S102  spelled here
    extents = {i.extent: SIZES[i.extent.name] for i in (n, t, h, f, g)}
    expected = evaluate([equation], given, extents, FLOAT64)["out"]
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    ("a", "b", "out", "over"),
    [
        ((n, t, w), (n, w, h), (n, t, h), (w,)),  # many terms
        ((n, f), (f, h), (n, h), (f,)),  # one matrix, no stack
        ((n, w, f), (n, h, f), (n, w, h), (f,)),  # matrices that are not tiny
    ],
)
def test_what_a_product_of_matrices_does_better_is_left_to_it(a, b, out, over):
    lines, _, _ = lines_of(a, b, out, over)
    assert any("matmul" in line or "dot" in line for line in lines)

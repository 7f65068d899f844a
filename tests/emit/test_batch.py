"""What an emitted module needs of a model: a batch of something."""

import pytest
import sympy

import bpgen as bp
from bpgen.errors import TargetError


@pytest.mark.parametrize("reads", [False, True], ids=["no input at all", "one for the loss"])
def test_outputs_that_no_input_reaches_are_refused(reads):
    a = bp.index("a", 3)
    W = bp.parameter("W", a)
    y = bp.define("y", (a,), sympy.tanh(W[a]))
    x = bp.input("x", 3)
    (n, _) = x.indices
    product = bp.mean(y[a] * x[n, a], over=(n, a)) if reads else bp.mean(y[a] ** 2, over=a)
    model = bp.Model(loss=bp.define("loss", (), product), outputs={"y": y})
    with pytest.raises(TargetError, match="no input reaches `y`"):
        model.source()


def test_a_message_with_commas_stays_one_string():
    given = [bp.input(f"an_input_of_some_length{k}", 3) for k in range(4)]
    n, d = given[0].indices
    W = bp.parameter("W", d)
    product = sympy.Mul(*(x[n, d] for x in given)) * W[d]
    model = bp.Model(loss=bp.define("loss", (), bp.mean(product, over=(n, d))))
    names = ", ".join(f"an_input_of_some_length{k}" for k in range(4))
    assert f'f"{names} have different lengths' in model.source()

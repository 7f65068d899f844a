"""An optimizer carried out as its equations stand, one assignment after the other."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from bpgen.declare.rule import Schedule
from bpgen.ir.index import Scalar
from bpgen.ir.optimizer import ENTRY, GRADIENT, STEP, THETA, Optimizer
from bpgen.ir.tensor import Role
from bpgen.optimizers import sgd
from bpgen.verify.interpret import evaluate
from bpgen.verify.numbers import FLOAT64

Vector = NDArray[Any]


def walk(
    optimizer: Optimizer,
    theta: Sequence[float] | Vector,
    gradients: Iterable[Callable[[Vector], Any]],
) -> Iterator[Vector]:
    """Carry out one step for each gradient, a function of θ; return θ after each."""
    extents = {ENTRY.extent: len(theta)}
    values = {state.name: np.zeros(len(theta)) for state in optimizer.states}
    values[THETA.name] = np.array(theta, float)
    for number, gradient in enumerate(gradients, start=1):
        values[GRADIENT.name] = np.array(gradient(values[THETA.name]), float)
        scalars: dict[Any, Any] = {STEP: sympy.Float(number)}
        for equation in optimizer.equations:
            terms = tuple(term.replaced(scalars) for term in equation.terms)
            new = replace(equation, terms=terms, out=replace(equation.out, name="new"))
            found = evaluate([new], values, extents, FLOAT64)["new"]
            if equation.out.role is Role.SCALAR:
                scalars[Scalar(equation.out.name)] = sympy.Float(float(found))
            else:
                values[equation.out.name] = found
        yield values[THETA.name]


def rate_at(schedule: Schedule, t: int) -> float:
    """Return the learning rate that an optimizer takes from the schedule in step t."""
    (term,) = sgd(schedule).equations[0].terms
    return float(term.body.xreplace({STEP: sympy.Integer(t)}))

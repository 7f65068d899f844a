"""From a derivation to a program: which equations run in which function, and in what order."""

from __future__ import annotations

from collections.abc import Iterable

from bpgen.ir.derivation import Derivation
from bpgen.ir.equation import Equation, needed
from bpgen.ir.network import Network
from bpgen.ir.optimizer import Optimizer
from bpgen.ir.program import Part, Program
from bpgen.ir.tangent import Curvature
from bpgen.ir.tensor import Role
from bpgen.lower.loops import parts
from bpgen.lower.products import Orders
from bpgen.lower.update import update_parts


def lower(
    derivation: Derivation, optimizer: Optimizer, hessian: Curvature | None = None
) -> Program:
    """Return the program that trains the network of `derivation` with `optimizer`.

    With `hessian` it computes products with that, too.
    """
    network = derivation.source
    outputs = set(network.outputs.values()) or {network.loss}
    forward = needed(network.equations, outputs)
    loss = _without(needed(network.equations, {network.loss}), forward)
    closed = derivation.network
    gradients = {derivation.gradient_of(t.name) for t in network.parameters}
    backward = _without(needed(closed.equations, gradients), forward + loss)
    predict, score = _prediction(network, outputs)
    if score == loss:
        score = []

    advance = _without(needed(network.all_equations, _states(network)), forward + loss)
    second = _products(hessian, forward + loss + backward) if hessian else []
    tensors = (hessian or derivation).network.tensors
    orders = Orders(tensors)
    forward = orders.of(forward)
    loss = orders.of(loss, forward)
    advance = orders.of(advance, forward + loss)
    backward = orders.of(_late(backward), forward + loss)
    second = orders.of(second, forward + loss + backward)
    predict = orders.of(predict)
    score = orders.of(score, predict or forward)

    def steps(equations: Iterable[Equation]) -> tuple[Part, ...]:
        return parts(equations, {**tensors, **orders.made})

    program = Program(
        network,
        derivation,
        forward=steps(forward),
        loss=steps(loss),
        backward=steps(backward),
        predict=steps(predict),
        score=steps(score),
        update=update_parts(
            optimizer.equations, closed.tensors, sum(t.entries for t in network.parameters)
        ),
        optimizer=optimizer,
        advance=steps(advance),
        second=steps(second),
        hessian=hessian,
        made=orders.made,
    )
    program.check()
    return program


def _products(hessian: Curvature, done: list[Equation]) -> list[Equation]:
    """Return what a product with the Hessian takes, besides the equations that are `done`."""
    return _without(needed(hessian.network.equations, hessian.parts.values()), done)


def _states(network: Network) -> set[str]:
    return {t.name for t in network.of_role(Role.STATE)}


def _prediction(network: Network, outputs: set[str]) -> tuple[list[Equation], list[Equation]]:
    """Return the equations of `predict` and of its loss, if some equation differs there."""
    if all(e.predict is None for e in network.equations):
        return [], []
    equations = [e.for_prediction() for e in network.equations]
    predict = needed(equations, outputs)
    return predict, _without(needed(equations, {network.loss}), predict)


def _without(equations: list[Equation], done: list[Equation]) -> list[Equation]:
    names = {e.out.name for e in done}
    return [e for e in equations if e.out.name not in names]


def _late(equations: list[Equation]) -> list[Equation]:
    """Put what the backward pass alone needs of the forward right before its first reader."""
    early = [e for e in equations if not _is_backward(e)]
    ordered: list[Equation] = []
    for equation in equations:
        if _is_backward(equation):
            ordered += _with_sources(equation, early)
            early = [e for e in early if e not in ordered]
            ordered.append(equation)
    return ordered


def _with_sources(equation: Equation, early: list[Equation]) -> list[Equation]:
    wanted = set(equation.reads())
    return needed(early, wanted) if any(e.out.name in wanted for e in early) else []


def _is_backward(equation: Equation) -> bool:
    return equation.out.role is Role.COTANGENT

"""From a derivation to a program: which equations run in which function, and in what order."""

from __future__ import annotations

from bpgen.ir.derivation import Derivation
from bpgen.ir.equation import Equation, needed
from bpgen.ir.network import Network
from bpgen.ir.optimizer import Optimizer
from bpgen.ir.program import Program
from bpgen.ir.tangent import Curvature
from bpgen.ir.tensor import Role
from bpgen.lower.loops import parts
from bpgen.lower.products import Orders
from bpgen.lower.update import update_parts

# The functions that always run before another. The loss comes after `forward` or `predict`.
_AFTER: dict[str, tuple[str, ...]] = {
    "forward": (),
    "loss": (),
    "advance": ("forward", "loss"),
    "backward": ("forward", "loss"),
    "second": ("forward", "loss", "backward"),
    "predict": (),
    "score": ("predict",),
}


def lower(
    derivation: Derivation, optimizer: Optimizer, hessian: Curvature | None = None
) -> Program:
    """Return the program that trains the network of `derivation` with `optimizer`.

    With `hessian` it computes products with that, too.
    """
    network, tensors = derivation.source, (hessian or derivation).network.tensors
    orders = Orders(tensors)
    functions: dict[str, list[Equation]] = {}
    for name, equations in _functions(derivation, hessian).items():
        done = [e for before in _AFTER[name] for e in functions[before]]
        functions[name] = orders.of(equations, done)
    steps = {name: parts(found, {**tensors, **orders.made}) for name, found in functions.items()}
    program = Program(
        network,
        derivation,
        forward=steps["forward"],
        loss=steps["loss"],
        backward=steps["backward"],
        predict=steps["predict"],
        score=steps["score"],
        update=update_parts(
            optimizer.equations,
            derivation.network.tensors,
            sum(t.entries for t in network.parameters),
        ),
        optimizer=optimizer,
        advance=steps["advance"],
        second=steps["second"],
        hessian=hessian,
        made=orders.made,
    )
    program.check()
    return program


def _functions(derivation: Derivation, hessian: Curvature | None) -> dict[str, list[Equation]]:
    """Return the equations of each function, in order."""
    network = derivation.source
    outputs = set(network.outputs.values()) or {network.loss}
    forward = needed(network.equations, outputs)
    loss = _without(needed(network.equations, {network.loss}), forward)
    gradients = {derivation.gradient_of(t.name) for t in network.parameters}
    backward = _without(needed(derivation.network.equations, gradients), forward + loss)
    states = needed(network.all_equations, _states(network))
    predict, score = _prediction(network, outputs)
    return {
        "forward": forward,
        "loss": loss,
        "advance": _without(states, forward + loss),
        "backward": _late(backward),
        "second": _products(hessian, forward + loss + backward) if hessian else [],
        "predict": predict,
        "score": [] if score == loss else score,
    }


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
